"""Forwarded ports and jump hosts."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from k3s_tui.core.errors import HostKeyUnknown, Unreachable, UsageError
from k3s_tui.hosts.forwarding import ForwardingFailed, ForwardingRefused
from k3s_tui.hosts.shell import ShellTransport
from k3s_tui.hosts.ssh import Connector
from k3s_tui.hosts.target import parse_jump
from tests.ssh.conftest import Connect, target
from tests.ssh.processes import eventually
from tests.ssh.sshd import Sshd, free_port, running_sshd


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with all it got, once the other side has ended."""
    writer.write(await reader.read())
    writer.write_eof()
    await writer.drain()
    writer.close()


async def talk(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_forwarded_port_leads_there_and_back(web: ShellTransport) -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    there = server.sockets[0].getsockname()[1]
    data = bytes(range(256)) * 8000
    async with web.forward("127.0.0.1", there) as port:
        assert port != there
        assert await asyncio.gather(*(talk(port, data) for _ in range(3))) == [data] * 3
    with pytest.raises(OSError):
        await talk(port, b"")
    server.close()


async def test_forwarding_that_sshd_forbids_is_recognised(connect: Connect) -> None:
    with running_sshd("AllowTcpForwarding no") as server:
        transport = await connect(server)
        with pytest.raises(ForwardingRefused) as caught:
            async with transport.forward("127.0.0.1", 5432) as port:
                assert await talk(port, b"hello") == b""
        assert "AllowTcpForwarding" in caught.value.hint


async def test_a_destination_that_does_not_listen_is_named(web: ShellTransport) -> None:
    there = free_port()
    with pytest.raises(ForwardingFailed, match=f"127.0.0.1:{there}"):
        async with web.forward("127.0.0.1", there) as port:
            await talk(port, b"hello")
            raise RuntimeError("what a client makes of it")


async def test_through_a_jump_host_of_the_profile(connect: Connect, sshd: Sshd) -> None:
    with running_sshd() as bastion:
        jump = target(bastion, name="bastion")
        transport = await connect(sshd, jump=jump)
        assert (await transport.exec("echo in")).out == b"in\n"
        assert bastion.log.count("Accepted publickey") == 1


async def test_hosts_behind_one_jump_host_share_its_login(connect: Connect, sshd: Sshd) -> None:
    with running_sshd() as bastion:
        jump = target(bastion, name="bastion")
        await asyncio.gather(*(connect(sshd, name=f"h{n}", jump=jump) for n in range(4)))
        assert bastion.log.count("Accepted publickey") == 1


async def test_the_jump_hosts_own_key_is_verified(connect: Connect, sshd: Sshd) -> None:
    with running_sshd() as bastion:
        with pytest.raises(HostKeyUnknown) as caught:
            await connect(sshd, jump=target(bastion, name="bastion", host_key=None))
        assert (caught.value.host, caught.value.key) == ("bastion", bastion.host_key)


async def test_a_jump_host_that_reaches_nobody(connect: Connect, sshd: Sshd) -> None:
    with running_sshd() as bastion, pytest.raises(Unreachable, match="through bastion"):
        await connect(sshd, port=free_port(), jump=target(bastion, name="bastion"))


async def test_proxy_jump_of_the_ssh_config(home: Path, sshd: Sshd) -> None:
    with running_sshd() as first, running_sshd() as second:
        (home / ".ssh" / "config").write_text(
            f"Host 127.0.0.1\n  ProxyJump one,root@two:{second.port}\n"
            f"Host one\n  Hostname 127.0.0.1\n  Port {first.port}\n  User root\n"
            f"  IdentityFile {first.identity}\n"
            f"Host two\n  Hostname localhost\n  IdentityFile {second.identity}\n"
        )
        pins = {"one": first.host_key, f"root@two:{second.port}": second.host_key}
        async with Connector(home=home, agent="", pins=pins) as connector:
            transport = await connector.connect(target(sshd))
            assert (await transport.exec("echo in")).out == b"in\n"
            await transport.close()
            assert set(connector.host_keys) == {*pins, "web-1"}
        for hop in (first, second):
            assert hop.log.count("Accepted publickey") == 1


@pytest.mark.parametrize(
    ("config", "circle"),
    [
        ("Host *\n  ProxyJump bastion\n", "web-1 through bastion through bastion"),
        (
            "Host one\n  ProxyJump two\nHost two\n  ProxyJump one\nHost *\n  ProxyJump one\n",
            "web-1 through one through two through one",
        ),
    ],
)
async def test_a_way_through_itself_is_refused(
    home: Path, sshd: Sshd, config: str, circle: str
) -> None:
    """What fits the jump host, too, sends it through itself: `ssh` calls it a jumphost loop."""
    (home / ".ssh" / "config").write_text(config)
    async with Connector(home=home, agent="") as connector:
        with pytest.raises(UsageError, match=f"leads to {circle}, in a circle"):
            await connector.connect(target(sshd))


async def test_a_jump_host_is_logged_in_to_again_after_a_loss(connect: Connect, sshd: Sshd) -> None:
    with running_sshd() as bastion:
        jump = target(bastion, name="bastion")
        await connect(sshd, jump=jump)
        for pid in bastion.sessions():
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not bastion.sessions())
        again = await connect(sshd, jump=jump)
        assert (await again.exec("echo in")).out == b"in\n"


def test_a_jump_is_written_as_for_ssh() -> None:
    last = parse_jump("ann@one:2222,[fd00::1]:23,two")
    assert (last.name, last.address, last.port, last.user) == ("two", "two", None, None)
    assert last.jump is not None and last.jump.jump is not None
    assert (last.jump.address, last.jump.port) == ("fd00::1", 23)
    first = last.jump.jump
    assert (first.user, first.address, first.port, first.jump) == ("ann", "one", 2222, None)
