"""Keys that known_hosts vouches for are in the lock file, too, once a host was connected to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from k3s_tui.core.errors import HostKeyChanged
from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.procedure.deployment import Deployment, Order
from k3s_tui.profile import lockfile
from k3s_tui.profile.load import load
from k3s_tui.profile.model import HostEntry, Profile, Ssh
from k3s_tui.profile.neighbours import lock_file
from k3s_tui.profile.reference import SecretRef
from k3s_tui.profile.secrets import Resolver
from tests.ssh.sshd import Sshd, keygen, public, running_sshd

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "embedded.toml"


class Nobody:
    """An operator who is asked nothing."""

    async def secret(self, question: str, *, flag: str) -> Secret:
        raise AssertionError(question)

    async def confirm(self, question: str, *, flag: str) -> bool:
        raise AssertionError(question)


class Desk:
    """An operator's machine: a home with known_hosts, and a profile of these servers."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "site.toml"
        self.known = folder / ".ssh" / "known_hosts"
        self.known.parent.mkdir()

    def knows(self, *servers: Sshd) -> None:
        lines = (f"[127.0.0.1]:{server.port} {server.host_key}\n" for server in servers)
        self.known.write_text("".join(lines))

    async def connect(self, **servers: Sshd | tuple[Sshd, str]) -> None:
        """To all of them, and be done."""
        hosts, identity = {}, ""
        for name, one in servers.items():
            server, jump = one if isinstance(one, tuple) else (one, None)
            hosts[name] = HostEntry(
                address="127.0.0.1", port=server.port, roles=["server"], jump=jump
            )
            identity = str(server.identity)
        order = Order(self.path, _profile(hosts, identity))
        resolver = Resolver(self.path, Nobody(), environ={"TOKEN": "a-token", "AGENTS": "another"})
        async with Deployment(order, resolver, Nobody(), lambda _: None, Redactor()):
            pass

    @property
    def pinned(self) -> dict[str, str]:
        return dict(lockfile.load(lock_file(self.path)).host_keys)


def _profile(hosts: dict[str, HostEntry], identity: str) -> Profile:
    profile = load(EXAMPLE)
    k3s = msgspec.structs.replace(
        profile.k3s, token=SecretRef("env", "TOKEN"), agent_token=SecretRef("env", "AGENTS")
    )
    ssh = Ssh(user="root", identity=identity, become="root", connect_timeout=10)
    return msgspec.structs.replace(profile, hosts=hosts, k3s=k3s, ssh=ssh)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Desk(tmp_path)


async def test_what_known_hosts_vouches_for_is_pinned_once(desk: Desk, sshd: Sshd) -> None:
    desk.knows(sshd)
    await desk.connect(web=sshd)
    assert desk.pinned == {"web": sshd.host_key}
    lock = lock_file(desk.path)
    written = lock.stat()
    await desk.connect(web=sshd)
    assert (lock.stat().st_ino, lock.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    lock.chmod(0o444)  # a second host is added to those that are pinned
    await desk.connect(web=sshd, other=sshd)
    assert desk.pinned == {"web": sshd.host_key, "other": sshd.host_key}


async def test_a_jump_host_too(desk: Desk, sshd: Sshd) -> None:
    desk.knows(sshd)
    through: Any = (sshd, f"root@127.0.0.1:{sshd.port}")
    await desk.connect(web=through)
    assert desk.pinned == {"web": sshd.host_key, f"root@127.0.0.1:{sshd.port}": sshd.host_key}


async def test_from_then_on_the_lock_file_decides(desk: Desk, sshd: Sshd, tmp_path: Path) -> None:
    desk.knows(sshd)
    await desk.connect(web=sshd)
    # Whoever may write known_hosts cannot put another host in its place.
    desk.known.write_text("")
    await desk.connect(web=sshd)
    lock_file(desk.path).unlink()
    lockfile.pin_host_keys(lock_file(desk.path), {"web": public(keygen(tmp_path / "old"))})
    desk.knows(sshd)
    with pytest.raises(ExceptionGroup) as caught:
        await desk.connect(web=sshd)
    assert caught.group_contains(HostKeyChanged)
    assert desk.pinned["web"] != sshd.host_key


async def test_what_an_authority_vouches_for_is_known_by_its_key(
    desk: Desk, tmp_path: Path
) -> None:
    authority = keygen(tmp_path / "authority")
    with running_sshd(authority=authority) as server:
        place = f"[127.0.0.1]:{server.port}"
        desk.known.write_text(f"@cert-authority {place} {public(authority)}\n")
        for _ in range(2):
            await desk.connect(web=server)
            assert desk.pinned == {"web": server.host_key}
        desk.known.write_text(f"@revoked {place} {server.host_key}\n")
        with pytest.raises(ExceptionGroup) as caught:
            await desk.connect(web=server)
        assert caught.group_contains(HostKeyChanged, match="revoked")
