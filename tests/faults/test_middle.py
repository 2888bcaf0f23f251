"""P11: who is in the middle of a connection gets nothing, and a host no more than a login."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from k3s_tui.core.errors import HostKeyChanged, HostKeyUnknown
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.ssh import Connector
from tests.faults.tally import Tally
from tests.ssh.conftest import Connect, target
from tests.ssh.sshd import Sshd, running_sshd
from tests.ssh.test_login import agent_with


@pytest.mark.parametrize("pinned", [False, True])
async def test_another_server_in_its_place_gets_no_authentication_bytes(
    connect: Connect, sshd: Sshd, tally: Tally, pinned: bool
) -> None:
    """It has the way to the host, and every key but the host's own.

    A password for sudo is at hand, which only a session could be told: there is none.
    """
    row = tally("P11", "another server in a host's place")
    with running_sshd() as middle:
        row.injected += 1
        with pytest.raises(HostKeyChanged if pinned else HostKeyUnknown):
            await connect(
                middle,
                host_key=sshd.host_key if pinned else None,
                become="sudo",
                sudo_password=Secret("a-canary-for-sudo"),
            )
        # It is over for the server, too: what it was asked for stands in its log.
        async with asyncio.timeout(20):
            while "[preauth]" not in middle.log:
                await asyncio.sleep(0.02)
        # At LogLevel VERBOSE sshd writes down every request of a login, and the name in it.
        assert "Connection from" in middle.log
        for word in ("publickey", "password", "userauth", "root", "session", "canary"):
            assert word not in middle.log, middle.log
    row.survived += 1


async def test_a_host_gets_no_use_of_the_operators_agent(
    home: Path, sshd: Sshd, tmp_path: Path, tally: Tally
) -> None:
    """sshd would forward it if it was asked to; root there could log in elsewhere with it."""
    row = tally("P11", "a host that would use the operator's agent")
    look = 'printf "%s" "${SSH_AUTH_SOCK-none}"'
    with agent_with(tmp_path, sshd.identity) as socket:
        # OpenSSH's client, told to: this sshd does hand the agent on.
        argv = ["ssh", "-F", "none", "-A", "-p", str(sshd.port), "-o", "StrictHostKeyChecking=no"]
        argv += ["-o", f"UserKnownHostsFile={tmp_path / 'known'}", "root@127.0.0.1", look]
        handed_on = subprocess.check_output(argv, env={**os.environ, "SSH_AUTH_SOCK": socket})
        assert handed_on not in (b"", b"none")
        async with Connector(home=home, agent=socket) as connector:
            transport = await connector.connect(target(sshd, identity="agent"))
            try:
                row.injected += 1
                said = await transport.exec(look)
                assert said.out == b"none"
            finally:
                await transport.close()
    row.survived += 1


async def test_the_server_would_tell_of_a_login(connect: Connect) -> None:
    """What the first test looks for does appear when somebody logs in."""
    with running_sshd() as server:
        await connect(server, host_key=server.host_key, identity=str(server.identity))
        assert "publickey" in server.log and "root" in server.log
        assert "Starting session" in server.log
