"""Questions on the terminal, or none at all."""

from __future__ import annotations

import asyncio
import getpass
import sys

from k3s_tui.core.errors import CredentialsError, UsageError
from k3s_tui.core.events import Answered, Asked, Emit
from k3s_tui.core.secret import Secret


class TerminalAsk:
    """Asks on the controlling terminal, one question at a time, without stopping the event loop."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._turn = asyncio.Lock()

    async def secret(self, question: str, *, flag: str) -> Secret:
        async with self._turn:
            self._emit(Asked(question=question, kind="secret"))
            value = await asyncio.to_thread(getpass.getpass, f"{question}: ")
            self._emit(Answered(question=question, given=bool(value)))
            return Secret(value)

    async def confirm(self, question: str, *, flag: str) -> bool:
        async with self._turn:
            self._emit(Asked(question=question, kind="confirm"))
            answer = await asyncio.to_thread(_read_line, f"{question} [y/N] ")
            given = answer.strip().lower() in ("y", "yes")
            self._emit(Answered(question=question, given=given))
            return given


class NoTerminal:
    """Nobody is there: every question is an error that names the flag that answers it."""

    async def secret(self, question: str, *, flag: str) -> Secret:
        raise CredentialsError(f"{question}: there is no terminal to ask on", hint=f"use {flag}")

    async def confirm(self, question: str, *, flag: str) -> bool:
        raise UsageError(f"{question}: there is no terminal to ask on", hint=f"use {flag}")


def _read_line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()
