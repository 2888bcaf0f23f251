"""Questions on the terminal, or none at all."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from k3s_tui.core.errors import CredentialsError, UsageError
from k3s_tui.core.events import Answered, Asked, Emit
from k3s_tui.core.secret import Secret

_LONGEST = 4096
"""Bytes; a terminal hands over no longer line."""


class TerminalAsk:
    """Asks on the terminal, one question at a time, without stopping the event loop."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._turn = asyncio.Lock()

    async def secret(self, question: str, *, flag: str) -> Secret:
        """Raises CredentialsError when nothing is entered (Enter alone, or Ctrl-D)."""
        async with self._turn:
            self._emit(Asked(question=question, kind="secret"))
            answer = await _read_line(f"{question}: ", echo=False)
            self._emit(Answered(question=question, given=bool(answer)))
        if not answer:
            raise CredentialsError(
                f"{question}: nothing was entered", hint=f"try again, or use {flag}"
            )
        try:
            return Secret(answer.decode())
        except UnicodeDecodeError:
            # Not chained: the error holds what was entered.
            raise CredentialsError(
                f"{question}: what was entered is not UTF-8 text", hint=f"use {flag}"
            ) from None

    async def confirm(self, question: str, *, flag: str) -> bool:
        async with self._turn:
            self._emit(Asked(question=question, kind="confirm"))
            answer = await _read_line(f"{question} [y/N] ", echo=True)
            given = answer.strip().lower() in (b"y", b"yes")
            self._emit(Answered(question=question, given=given))
            return given


class NoTerminal:
    """Nobody is there: every question is an error that names the flag that answers it."""

    async def secret(self, question: str, *, flag: str) -> Secret:
        raise CredentialsError(f"there is no terminal to ask on: {question}", hint=f"use {flag}")

    async def confirm(self, question: str, *, flag: str) -> bool:
        raise UsageError(f"there is no terminal to ask on: {question}", hint=f"use {flag}")


async def _read_line(prompt: str, *, echo: bool) -> bytes:
    """One line without its end; empty when there is none.

    Not in a thread, which could not be cancelled: after Ctrl-C the program would wait for Enter.
    """
    terminal = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    with _listening(terminal, echo=echo):
        print(prompt, end="", file=sys.stderr, flush=True)
        loop.add_reader(terminal, there.set)
        try:
            await there.wait()
        finally:
            loop.remove_reader(terminal)
            if not echo:
                print(file=sys.stderr, flush=True)
        with suppress(OSError):  # the terminal is gone
            return os.read(terminal, _LONGEST).rstrip(b"\r\n")
    return b""


@contextmanager
def _listening(terminal: int, *, echo: bool) -> Iterator[None]:
    """What was typed before the question is no answer to it."""
    termios.tcflush(terminal, termios.TCIFLUSH)
    before = termios.tcgetattr(terminal)
    if not echo:
        hidden = termios.tcgetattr(terminal)
        hidden[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSADRAIN, hidden)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
