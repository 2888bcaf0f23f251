"""A fleet whose hosts are folders and whose shell is real; connections can be cut on demand."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k3s_tui.core.contract import Change, Hands, Host, Probe, Problem, Step
from k3s_tui.core.errors import Lost
from k3s_tui.core.events import AnyEvent
from k3s_tui.engine.connection import Connection
from k3s_tui.engine.look import Lookout
from k3s_tui.engine.plan import Plan, make_plan
from k3s_tui.engine.run import Result, Run
from k3s_tui.hosts import transport


class FolderTransport:
    """Keeps `Transport` with a local shell whose working directory is the host."""

    def __init__(self, host: Host, folder: Path, cut: list[str]) -> None:
        self.host = host
        self.folder = folder
        self.execs = 0
        self._cut = cut

    async def exec(
        self,
        script: str,
        *,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
    ) -> transport.Result:
        self.execs += 1
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            script,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            start_new_session=True,
        )
        try:
            if self._cut and self._cut[0] in script:
                self._cut.pop(0)
                raise Lost("cut by the test", host=self.host.name)
            out, err = await process.communicate(stdin)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):  # it has just ended
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        for line in err.decode().splitlines():
            if on_line:
                on_line(line)
        return transport.Result(process.returncode or 0, out, err)

    async def put(
        self, path: str, source: Path, on_sent: Callable[[int, int], None] | None = None
    ) -> None:
        (self.folder / path).write_bytes(source.read_bytes())

    @asynccontextmanager
    async def hold(self, script: str) -> AsyncIterator[str]:
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            script,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self.folder,
        )
        assert process.stdin and process.stdout
        try:
            yield (await process.stdout.readline()).decode().strip()
        finally:
            process.stdin.close()
            await process.wait()

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> AsyncIterator[int]:
        yield port

    @asynccontextmanager
    async def through(self, script: str) -> AsyncIterator[int]:
        raise NotImplementedError
        yield 0

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Marker:
    """A resource as small as can be: a file with a text; `log` counts how often it was mended."""

    name: str
    text: str = "done"
    script: str = ""
    after: str | None = ""
    """The promised state: the text itself unless told otherwise; None is 'known once done'."""

    def probe(self) -> Probe[str]:
        return Probe(f"cat {self.name}", lambda out: out.decode().strip())

    def diff(self, now: str) -> Change[str] | None:
        if now == self.text:
            return None
        promised = self.text if self.after == "" else self.after
        return Change(f"write {self.name}", f"{now} -> {self.text}", promised)

    async def apply(self, on: Hands, change: Change[str]) -> None:
        await on.sh(
            f"{self.script or ':'}; printf %s {self.text} >{self.name}; echo {self.name} >>log"
        )


@dataclass(frozen=True)
class Seen:
    """A check: is a file there?  Its state is the file's text."""

    name: str
    warning: bool = False

    def probe(self) -> Probe[str]:
        return Probe(f"cat {self.name}", lambda out: out.decode().strip())

    def diff(self, now: str) -> Problem | None:
        if now:
            return None
        return Problem(f"{self.name} is not there", "make it", self.warning)


@dataclass(frozen=True)
class Heard(Seen):
    """One that says what it found."""

    def says(self, now: str) -> str:
        return f"it says {now}"


@dataclass
class Rig:
    """Hosts, connections, and what was said."""

    root: Path
    events: list[AnyEvent] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    connections: dict[Host, Connection] = field(default_factory=dict)
    run: Run | None = None

    def host(self, name: str) -> Host:
        host = Host(name)
        if host not in self.connections:
            (self.root / name).mkdir()

            async def connect() -> FolderTransport:
                return FolderTransport(host, self.root / name, self.cut)

            self.connections[host] = Connection(host, connect, self.events.append)
        return host

    def folder(self, host: Host) -> Path:
        return self.root / host.name

    def log(self, host: Host) -> list[str]:
        path = self.folder(host) / "log"
        return path.read_text().split() if path.exists() else []

    def execs(self) -> dict[str, int]:
        return {
            host.name: connection.transport.execs  # type: ignore[attr-defined]
            for host, connection in self.connections.items()
        }

    async def open(self) -> Lookout:
        for connection in self.connections.values():
            await connection.ready()
        return Lookout(self.connections, self.events.append)

    async def plan(self, steps: Sequence[Step[Any]]) -> Plan:
        return await make_plan(steps, await self.open(), self.events.append)

    async def apply(self, steps: Sequence[Step[Any]]) -> Result:
        lookout = await self.open()
        plan = await make_plan(steps, lookout, self.events.append)
        self.run = Run(plan, self.connections, lookout, self.events.append)
        return await self.run.execute()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def verdicts(plan: Plan) -> dict[str, str]:
    return {step.id: item.verdict for step, item in plan.items.items()}


def outcomes(result: Result) -> dict[str, str]:
    return {step.id: outcome for step, outcome in result.outcomes.items()}
