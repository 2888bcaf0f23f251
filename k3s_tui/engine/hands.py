"""A step's hands: the transport of its host, with every line and every failure put into words."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from k3s_tui.core.contract import Host
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.events import Emit, Line, Waiting
from k3s_tui.engine.jobs import start_or_attach
from k3s_tui.hosts.reasons import of_disk
from k3s_tui.hosts.script import PRELUDE
from k3s_tui.hosts.transport import Transport

_TAIL = 20
"""Lines of a failed script that its error carries."""

_TOLD = 4 << 20
"""Characters of one script's output that are told and recorded."""

_WORTH_TELLING = 4 << 20
"""Bytes from which on an upload says how far it is."""


class StepHands:
    """Keeps `Hands` for one step."""

    def __init__(self, transport: Transport, step: str, emit: Emit) -> None:
        self._transport = transport
        self._step = step
        self._emit = emit
        self._said: tuple[str, str] | None = None

    @property
    def host(self) -> Host:
        return self._transport.host

    async def sh(self, script: str, *, stdin: bytes = b"") -> bytes:
        said: list[str] = []
        left = _TOLD

        def on_line(text: str) -> None:
            nonlocal left
            said.append(text)
            del said[:-_TAIL]
            if left > 0:
                left -= len(text) + 1
                if left <= 0:
                    text = "… what else it says is neither shown nor recorded"
                self._emit(Line(step=self._step, host=self.host.name, text=text))

        result = await self._transport.exec(script, stdin=stdin, on_line=on_line)
        if result.status:
            last = said[-1] if said else f"a script ended with status {result.status}"
            text, hint = of_disk(said) or (last, "")
            raise StepFailed(
                text,
                status=result.status,
                tail="\n".join(said),
                hint=hint,
                host=self.host.name,
            )
        return result.out

    async def put(self, path: str, source: Path) -> None:
        def on_sent(sent: int, of: int) -> None:
            if of >= _WORTH_TELLING:
                tenths = 10 * (10 * sent // of)
                self.waiting(f"{source.name} is on the host", f"{tenths} % of {of >> 20} MiB")

        await self._transport.put(path, source, on_sent)

    async def job(self, name: str, script: str) -> None:
        await self.sh(start_or_attach(name, script, PRELUDE))

    def forward(self, address: str, port: int) -> AbstractAsyncContextManager[int]:
        return self._transport.forward(address, port)

    def through(self, script: str) -> AbstractAsyncContextManager[int]:
        return self._transport.through(script)

    def waiting(self, condition: str, seen: str) -> None:
        # Said once per change: a wait of minutes is one line, not one per look.
        if self._said != (condition, seen):
            self._said = (condition, seen)
            self._emit(
                Waiting(step=self._step, host=self.host.name, condition=condition, seen=seen)
            )
