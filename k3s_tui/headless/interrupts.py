"""Ctrl-C in three stages, for a run that others depend on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from k3s_tui.core.errors import Exit, Interrupted
from k3s_tui.headless.output import complain

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The last one comes when the terminal goes away."""


class Interrupts:
    """Turns signals into `stop(count)`; when that finds nothing to stop, the work is cancelled.

    The third signal ends the process at once, whatever hangs.  `touched` says that hosts may have
    been changed meanwhile.
    """

    def __init__(self) -> None:
        self.stop: Callable[[int], bool] = lambda count: False
        self.touched = False
        self._count = 0
        self._main: asyncio.Task[Any] | None = None

    def arrive(self) -> None:
        self._count += 1
        if self._count > 2:
            _leave()
        if not self.stop(self._count) and self._main is not None:
            self._main.cancel()


def run(work: Callable[[Interrupts], Coroutine[Any, Any, T]]) -> T:
    """Run `work` to its end.  Raises Interrupted when a signal cancelled it."""
    interrupts = Interrupts()

    async def main() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work(interrupts))
        interrupts._main = task
        for number in SIGNALS:
            # Ignored from the start, as under nohup, it stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, interrupts.arrive)
        try:
            return await task
        except asyncio.CancelledError:
            raise Interrupted(
                "interrupted" if interrupts.touched else "interrupted before anything was changed"
            ) from None

    return asyncio.run(main())


def _leave() -> None:
    if sys.stdout.isatty():
        # Progress hides the cursor, and nobody is left to show it again.
        with suppress(OSError):
            os.write(sys.stdout.fileno(), b"\x1b[?25h")
    complain("left at once; what was under way on the hosts may end by itself or not at all")
    os._exit(Exit.INTERRUPTED)
