"""Hands for tests of resources: this machine, through a real shell."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from k3s_tui.core.contract import Change, Check, Host, Resource, S
from k3s_tui.core.errors import StepFailed
from k3s_tui.hosts.forwarding import relay
from k3s_tui.hosts.script import PRELUDE, batch, quote, unbatch
from k3s_tui.resources.certificate import TO_BE_ISSUED
from tests.unit.shells import SHELLS

ME = f"{os.getuid()}:{os.getgid()}"
"""Owner for files of a test."""


class LocalHands:
    """Runs scripts here, at once, under one of the shells; a job is not detached.

    `tools` comes first in PATH: commands of the test's own stand there, and under busybox all of
    its applets, so that the scripts are tried with its tools and not with GNU's.
    """

    host = Host("here")

    def __init__(self, shell: str, tools: Path) -> None:
        self.tools = tools
        self.said: list[str] = []
        self.jobs: list[str] = []
        self.scripts: list[str] = []
        self.environment: dict[str, str] = {}
        self._argv = SHELLS[shell]
        self._rest = ":$PATH"
        tools.mkdir(exist_ok=True)
        if shell == "busybox":
            applets = tools / "busybox"
            applets.mkdir(exist_ok=True)
            subprocess.run(["busybox", "--install", "-s", applets], check=True)
            self._path = f"{tools}:{applets}"
        else:
            self._path = str(tools)

    def tool(self, name: str, script: str) -> None:
        """A command of the test's own, in place of the host's."""
        file = self.tools / name
        file.write_text(f"#!/bin/sh\n{script}")
        file.chmod(0o755)

    def only(self, folder: Path) -> None:
        """From now on the host has no commands but those in `folder`."""
        self._path, self._rest = str(folder), ""

    async def sh(self, script: str, *, stdin: bytes = b"") -> bytes:
        self.scripts.append(script)
        whole = self._whole(script)
        argv = [*self._argv, "-c", whole] if stdin else [*self._argv, "-s"]
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
            start_new_session=True,
        )
        out, err = await process.communicate(stdin or whole.encode())
        said = err.decode().splitlines()
        self.said += said
        if process.returncode:
            raise StepFailed(
                said[-1] if said else "no words", status=process.returncode, tail=err.decode()
            )
        return out

    def unheard(self, script: str) -> int:
        """The status of a script whose connection was lost: each word that it says is an error."""
        nobody, said = os.pipe()
        os.close(nobody)
        with os.fdopen(said, "wb") as lost:
            done = subprocess.run(
                [*self._argv, "-s"],
                input=self._whole(script).encode(),
                check=False,
                stdout=lost,
                stderr=lost,
                env=self.environment,
                timeout=60,
            )
        return done.returncode

    def _whole(self, script: str) -> str:
        return f"{PRELUDE}PATH={quote(self._path)}{self._rest}\n{script}"

    async def put(self, path: str, source: Path) -> None:
        shutil.copyfile(source, path)

    async def job(self, name: str, script: str) -> None:
        self.jobs.append(name)
        await self.sh(script)

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> AsyncIterator[int]:
        yield port

    @asynccontextmanager
    async def through(self, script: str) -> AsyncIterator[int]:
        async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            argv = [*self._argv, "-c", f"{PRELUDE}{script}"]
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdin and process.stdout
            await process.stdout.readline()
            return process.stdout, process.stdin

        async with relay(dial) as port:
            yield port

    def waiting(self, condition: str, seen: str) -> None:
        self.said.append(f"{condition}: {seen}")

    async def look(self, check: Check[S]) -> S:
        """Probe as the engine does: in a batch, without standard input, errors unheard."""
        probe = check.probe()
        if not isinstance(probe.ask, str):
            return probe.parse(await probe.ask(self))
        (answer,) = unbatch(await self.sh(batch([probe.ask], "f00d")), "f00d")
        return probe.parse(answer)

    async def settle(self, resource: Resource[Any]) -> Change[Any]:
        """Look, expect a change, make it, and expect the next look to find nothing to do."""
        change = resource.diff(await self.look(resource))
        assert isinstance(change, Change), change
        await resource.apply(self, change)
        now = await self.look(resource)
        left = resource.diff(now)
        assert left is None, left
        if change.after not in (None, TO_BE_ISSUED):  # a promise of what is not known yet
            assert now == change.after
        return change
