from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from k3s_tui.hosts.shell import ShellTransport
from k3s_tui.hosts.ssh import Connector
from k3s_tui.hosts.target import Target
from tests.ssh.sshd import Sshd, running_sshd


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    with running_sshd() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An operator's home folder without keys, config or known hosts."""
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def target(server: Sshd, **changes: Any) -> Target:
    base = Target(
        name="web-1",
        address="127.0.0.1",
        port=server.port,
        user="root",
        identity=str(server.identity),
        host_key=server.host_key,
        connect_timeout=10,
    )
    return replace(base, **changes)


class Connect(Protocol):
    async def __call__(self, server: Sshd, **changes: Any) -> ShellTransport: ...


@pytest.fixture
async def connect(home: Path) -> AsyncIterator[Connect]:
    """Connects, and closes what it connected at the end."""
    async with AsyncExitStack() as stack:
        connector = await stack.enter_async_context(Connector(home=home, agent=""))

        async def one(server: Sshd, **changes: Any) -> ShellTransport:
            transport = await connector.connect(target(server, **changes))
            stack.push_async_callback(transport.close)
            return transport

        yield one


@pytest.fixture
async def web(connect: Connect, sshd: Sshd) -> ShellTransport:
    """A connection as root."""
    return await connect(sshd)
