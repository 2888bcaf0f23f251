from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from k3s_tui.core.errors import CredentialsError, HostKeyChanged, HostKeyUnknown
from k3s_tui.hosts import hostkeys
from k3s_tui.hosts.ssh import Connector
from tests.ssh.conftest import Connect, target
from tests.ssh.sshd import Sshd, keygen, public, running_sshd


def known_hosts(home: Path, line: str) -> None:
    (home / ".ssh" / "known_hosts").write_text(f"garbage\n@odd marker x y\n{line}\n|1|bad| x y\n")


def place(server: Sshd) -> str:
    return f"[127.0.0.1]:{server.port}"


async def test_an_unknown_key_is_an_error_that_carries_it(connect: Connect, sshd: Sshd) -> None:
    with pytest.raises(HostKeyUnknown) as caught:
        await connect(sshd, host_key=None)
    assert caught.value.key == sshd.host_key
    argv = ["ssh-keygen", "-lf", str(sshd.folder / "host_ed25519.pub")]
    listed = subprocess.check_output(argv, text=True)
    assert caught.value.fingerprint == listed.split()[1]
    assert caught.value.fingerprint in str(caught.value)


async def test_nothing_is_offered_to_an_unknown_host(connect: Connect) -> None:
    with running_sshd() as server:
        with pytest.raises(HostKeyUnknown):
            await connect(server, host_key=None)
        assert "publickey" not in server.log and "root" not in server.log


async def test_a_changed_key_stops_with_both_fingerprints(
    connect: Connect, sshd: Sshd, tmp_path: Path
) -> None:
    old = public(keygen(tmp_path / "old"))
    with pytest.raises(HostKeyChanged) as caught:
        await connect(sshd, host_key=old)
    assert hostkeys.fingerprint(old) in caught.value.text
    assert hostkeys.fingerprint(sshd.host_key) in caught.value.text
    assert "lock file" in caught.value.hint


async def test_a_pin_that_is_no_key_is_said_to_be_none(connect: Connect, sshd: Sshd) -> None:
    with pytest.raises(CredentialsError, match="pinned host key"):
        await connect(sshd, host_key="ssh-ed25519")


async def test_a_pinned_key_of_another_type_is_asked_for(connect: Connect, sshd: Sshd) -> None:
    rsa = public(sshd.folder / "host_rsa")
    transport = await connect(sshd, host_key=rsa)
    assert (await transport.exec("echo in")).out == b"in\n"


@pytest.mark.parametrize("hashed", [False, True])
async def test_the_operators_known_hosts_vouch_for_a_host(
    home: Path, connect: Connect, sshd: Sshd, hashed: bool
) -> None:
    known_hosts(home, f"{place(sshd)} {sshd.host_key}")
    if hashed:
        path = home / ".ssh" / "known_hosts"
        path.write_text(f"{place(sshd)} {sshd.host_key}\n")
        subprocess.run(["ssh-keygen", "-Hf", path], check=True, capture_output=True)
        assert "|1|" in path.read_text()
    transport = await connect(sshd, host_key=None)
    assert (await transport.exec("echo in")).out == b"in\n"


async def test_known_hosts_can_contradict(
    home: Path, connect: Connect, sshd: Sshd, tmp_path: Path
) -> None:
    known_hosts(home, f"{place(sshd)} {public(keygen(tmp_path / 'old'))}")
    with pytest.raises(HostKeyChanged, match="known_hosts:3") as caught:
        await connect(sshd, host_key=None)
    assert f"ssh-keygen -R '{place(sshd)}'" in caught.value.hint


async def test_a_revoked_key_is_refused_even_when_pinned(
    home: Path, connect: Connect, sshd: Sshd
) -> None:
    known_hosts(home, f"@revoked {place(sshd)} {sshd.host_key}")
    with pytest.raises(HostKeyChanged, match="revoked"):
        await connect(sshd)


async def test_a_certificate_authority_vouches_for_a_host(
    home: Path, connect: Connect, tmp_path: Path
) -> None:
    authority = keygen(tmp_path / "authority")
    with running_sshd(authority=authority) as server:
        with pytest.raises(HostKeyUnknown):
            await connect(server, host_key=None)
        known_hosts(home, f"@cert-authority {place(server)} {public(authority)}")
        async with Connector(home=home, agent="") as connector:
            transport = await connector.connect(target(server, host_key=None))
            assert (await transport.exec("echo in")).out == b"in\n"
            await transport.close()


async def test_a_host_key_can_be_read_without_a_login(home: Path) -> None:
    with running_sshd() as server:
        async with Connector(home=home, agent="") as connector:
            key, fingerprint = await connector.read_host_key(target(server, host_key=None))
        assert key == server.host_key
        assert fingerprint == hostkeys.fingerprint(key)
        assert "publickey" not in server.log


async def test_the_key_of_a_trusted_host_is_told(home: Path, sshd: Sshd) -> None:
    async with Connector(home=home, agent="", pins={"web-1": sshd.host_key}) as connector:
        transport = await connector.connect(target(sshd, host_key=None))
        await transport.close()
        assert connector.host_keys == {"web-1": sshd.host_key}
