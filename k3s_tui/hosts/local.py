"""The laptop kept to the same contract: its steps are scripts too, run as the operator."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from k3s_tui.core.address import endpoint
from k3s_tui.core.contract import LAPTOP
from k3s_tui.hosts.forwarding import ForwardingFailed, Reader, Writer
from k3s_tui.hosts.shell import ShellTransport
from k3s_tui.hosts.wire import Process

_CHUNK = 1 << 16


class _LocalProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr

    async def write(self, data: bytes) -> bool:
        try:
            self._stdin.write(data)
            await self._stdin.drain()
        except (ConnectionError, RuntimeError):
            return False
        return True

    def write_eof(self) -> None:
        self._stdin.close()

    async def read_out(self) -> bytes:
        return await self._stdout.read(_CHUNK)

    async def read_err(self) -> bytes:
        return await self._stderr.read(_CHUNK)

    async def wait(self) -> int | None:
        status = await self._process.wait()
        return status if status >= 0 else 128 - status

    def terminate(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)

    def close(self) -> None:
        self._stdin.close()


class _LocalWire:
    async def start(self, command: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return _LocalProcess(process)

    async def dial(self, address: str, port: int) -> tuple[Reader, Writer]:
        try:
            return await asyncio.open_connection(address, port)
        except OSError as error:
            raise ForwardingFailed(
                f"cannot connect to {endpoint(address, port)}: {error}", host=LAPTOP.name
            ) from None

    async def close(self) -> None:
        pass


def local_transport() -> ShellTransport:
    """A transport to the laptop itself: no root, files belong to the operator."""
    return ShellTransport(LAPTOP, _LocalWire(), owner=f"{os.getuid()}:{os.getgid()}")
