"""Ctrl-C in three stages, for a run that others depend on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from k3s_tui.core.errors import Exit, Interrupted

T = TypeVar("T")


class Interrupts:
    """Turns SIGINT and SIGTERM into `on_signal(count)`; by default the work is cancelled.

    The third signal ends the process at once, whatever hangs.
    """

    def __init__(self) -> None:
        self.on_signal: Callable[[int], None] | None = None
        self._count = 0
        self._main: asyncio.Task[Any] | None = None

    def arrive(self) -> None:
        self._count += 1
        if self._count > 2:
            os._exit(Exit.INTERRUPTED)
        if self.on_signal is not None:
            self.on_signal(self._count)
        elif self._main is not None:
            self._main.cancel()


def run(work: Callable[[Interrupts], Coroutine[Any, Any, T]]) -> T:
    """Run `work` to its end.  Raises Interrupted when a signal cancelled it."""
    interrupts = Interrupts()

    async def main() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work(interrupts))
        interrupts._main = task
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupts.arrive)
        try:
            return await task
        except asyncio.CancelledError:
            raise Interrupted("interrupted before anything was changed") from None

    return asyncio.run(main())
