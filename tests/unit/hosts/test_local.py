"""The laptop keeps the same contract as a host; tests/ssh has the longer list."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from k3s_tui.core.contract import LAPTOP
from k3s_tui.core.errors import StepFailed
from k3s_tui.hosts.forwarding import ForwardingFailed
from k3s_tui.hosts.local import local_transport
from tests.ssh.processes import eventually, marked
from tests.ssh.sshd import free_port


async def test_scripts() -> None:
    laptop = local_transport()
    assert laptop.host == LAPTOP
    lines: list[str] = []
    result = await laptop.exec("cat; echo é >&2; exit 3", stdin=b"\0in", on_line=lines.append)
    assert (result.status, result.out, lines) == (3, b"\0in", ["é"])
    results = await asyncio.gather(*(laptop.exec(f"echo {n}") for n in range(20)))
    assert [int(result.out) for result in results] == list(range(20))


async def test_cancelling_ends_everything() -> None:
    mark = f"7{os.getpid()}.25"
    running = asyncio.create_task(local_transport().exec(f"sleep {mark} | sleep {mark}"))
    await eventually(lambda: len(marked(f"sleep\0{mark}")) == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert marked(f"sleep\0{mark}") == []


async def test_files(tmp_path: Path) -> None:
    laptop = local_transport()
    source, there = tmp_path / "source", tmp_path / "there"
    source.write_bytes(os.urandom(3_000_000))
    await laptop.put(str(there), source)
    assert there.read_bytes() == source.read_bytes()
    assert (there.stat().st_mode & 0o7777, there.stat().st_uid) == (0o600, os.getuid())
    with pytest.raises(StepFailed, match="cannot upload"):
        await laptop.put(str(tmp_path / "missing" / "there"), source)


async def test_holding(tmp_path: Path) -> None:
    laptop = local_transport()
    lock = f"exec 9>>{tmp_path}/lock; flock -n 9 || exit 75; echo held; exec cat >/dev/null"
    async with laptop.hold(lock) as first, laptop.hold(lock) as second:
        assert (first, second) == ("held", "")
    async with laptop.hold(lock) as third:
        assert third == "held"


async def test_forwarding() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    laptop = local_transport()
    async with laptop.forward("127.0.0.1", server.sockets[0].getsockname()[1]) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"hello"
        writer.close()
    server.close()
    with pytest.raises(ForwardingFailed):
        async with laptop.forward("127.0.0.1", free_port()) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
