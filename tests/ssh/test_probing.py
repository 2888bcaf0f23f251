"""Probes of real hosts: what they say, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k3s_tui.core.secret import Secret
from k3s_tui.hosts import hostkeys
from k3s_tui.procedure.probing import Found, Prober, matches
from k3s_tui.profile import lockfile
from k3s_tui.profile.load import check
from k3s_tui.profile.lockfile import HostKeyDiffers
from k3s_tui.profile.model import HostEntry, Profile, Ssh
from k3s_tui.profile.neighbours import lock_file
from tests.ssh.processes import eventually, marked
from tests.ssh.sshd import Sshd, free_port, keygen, public, running_sshd
from tests.ssh.users import throwaway_user

PASSWORD = "correct horse $taple"


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


class Operator:
    """Answers questions for passphrases, one after the other."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    async def secret(self, question: str, *, flag: str) -> Secret:
        self.questions.append(question)
        await asyncio.sleep(0)
        return Secret(self.answers.pop(0))

    async def confirm(self, question: str, *, flag: str) -> bool:
        raise AssertionError(question)


def entry(server: Sshd, **changes: Any) -> HostEntry:
    base = HostEntry(address="127.0.0.1", port=server.port, roles=["agent"])
    return msgspec.structs.replace(base, **changes)


def draft(server: Sshd, hosts: dict[str, HostEntry], **ssh: Any) -> Profile:
    """A profile of which only the hosts have been written yet."""
    settings = Ssh(user="root", identity=str(server.identity), connect_timeout=10)
    return msgspec.structs.replace(
        check({}).profile, hosts=hosts, ssh=msgspec.structs.replace(settings, **ssh)
    )


class Bench:
    """A prober for a profile that is not saved yet, in a folder that is not made yet."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "profiles" / "new.toml"
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        self.operator = Operator()

    def prober(self, profile: Profile, sudo_password: str = "") -> Prober:
        password = Secret(sudo_password) if sudo_password else None
        return Prober(
            profile, self.path, self.operator, sudo_password=password, home=self.home, agent=""
        )

    @property
    def pinned(self) -> dict[str, str]:
        return dict(lockfile.load(lock_file(self.path)).host_keys)

    def pin(self, **keys: str) -> None:
        self.path.parent.mkdir(exist_ok=True)
        lockfile.pin_host_keys(lock_file(self.path), keys)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def texts(found: Found) -> str:
    return "\n".join(f"{one.severity}: {one.text} -- {one.fix}" for one in found.problems)


async def test_a_new_host_shows_its_key_is_trusted_and_says_what_it_is(
    bench: Bench, sshd: Sshd
) -> None:
    prober = bench.prober(draft(sshd, {"web": entry(sshd)}))
    first = await prober.probe("web")
    assert (first.state, first.key, first.key_of) == ("unknown-key", sshd.host_key, "web")
    assert first.fingerprint == hostkeys.fingerprint(sshd.host_key)
    assert "ssh-keygen -lf" in texts(first)
    assert bench.pinned == {}

    await prober.trust(first.key_of, first.key)
    assert bench.pinned == prober.pins == {"web": sshd.host_key}
    second = await prober.probe("web")
    assert (second.state, second.sudo) == ("ready", "root")
    assert second.arch == subprocess.check_output(["uname", "-m"], text=True).strip()
    assert re.search("(?i)linux", second.os)
    assert second.clock_skew is not None and abs(second.clock_skew[0]) < 60
    assert second.facts is not None and second.facts.memory_kib
    assert (second.fingerprint, second.key) == (first.fingerprint, first.key)
    await prober.close()


async def test_nothing_stays_connected(bench: Bench, sshd: Sshd) -> None:
    with running_sshd() as bastion:
        bench.pin(web=sshd.host_key, bastion=bastion.host_key)
        hosts = {
            "bastion": entry(bastion, address="localhost", roles=["loadbalancer"]),
            "web": entry(sshd, jump="bastion"),
        }
        profile = draft(sshd, hosts)
        (bastion.folder / "authorized_keys").write_text(public(sshd.identity) + "\n")
        prober = bench.prober(profile)
        found = await asyncio.gather(*(prober.probe("web") for _ in range(3)))
        assert [one.state for one in found] == ["ready"] * 3
        assert bastion.log.count("Accepted publickey") == 1
        await eventually(lambda: not bastion.sessions() and not sshd.sessions())


async def test_the_key_of_a_jump_host_is_shown_as_its_own(bench: Bench, sshd: Sshd) -> None:
    with running_sshd() as bastion:
        (bastion.folder / "authorized_keys").write_text(public(sshd.identity) + "\n")
        way = f"root@127.0.0.1:{bastion.port}"
        prober = bench.prober(draft(sshd, {"web": entry(sshd, jump=way)}))
        for whose, key in ((way, bastion.host_key), ("web", sshd.host_key)):
            found = await prober.probe("web")
            assert (found.state, found.key_of, found.key) == ("unknown-key", whose, key)
            await prober.trust(found.key_of, found.key)
        assert (await prober.probe("web")).state == "ready"
        await prober.close()


async def test_a_changed_key_stops_and_is_not_overwritten(
    bench: Bench, sshd: Sshd, tmp_path: Path
) -> None:
    old = public(keygen(tmp_path / "old"))
    bench.pin(web=old)
    prober = bench.prober(draft(sshd, {"web": entry(sshd)}))
    found = await prober.probe("web")
    assert (found.state, found.key) == ("failed", old)
    assert "error: the host key of" in texts(found) and "lock file" in texts(found)
    with pytest.raises(HostKeyDiffers):
        await prober.trust("web", sshd.host_key)
    assert bench.pinned == {"web": old}


async def test_every_failure_has_its_reason_and_its_fix(
    bench: Bench, sshd: Sshd, tmp_path: Path
) -> None:
    bench.pin(web=sshd.host_key)
    for changes, ssh, reason in (
        ({"port": free_port()}, {}, "nothing listens"),
        ({}, {"identity": str(keygen(tmp_path / "stranger"))}, "ssh-copy-id"),
        ({}, {"identity": str(tmp_path / "none")}, "none"),
        ({"address": ""}, {}, "no address"),
        ({"jump": "web"}, {}, "leads through itself"),
        ({"jump": "somewhere:99999"}, {}, "not a jump host"),
    ):
        prober = bench.prober(draft(sshd, {"web": entry(sshd, **changes)}, **ssh))
        found = await prober.probe("web")
        assert found.state == "failed" and found.sudo is None
        assert reason in texts(found), (reason, texts(found))
        await prober.close()


async def test_a_lock_file_that_is_none_is_told(bench: Bench, sshd: Sshd) -> None:
    bench.path.parent.mkdir()
    lock_file(bench.path).write_text("<<<<<<< HEAD\n")
    found = await bench.prober(draft(sshd, {"web": entry(sshd)})).probe("web")
    assert found.state == "failed" and "not a lock file" in texts(found)


@pytest.fixture(scope="module")
def users() -> Iterator[dict[str, str]]:
    with (
        throwaway_user("free", sudoers="{user} ALL=(ALL) NOPASSWD: ALL") as free,
        throwaway_user("pw", password=PASSWORD, sudoers="{user} ALL=(ALL) ALL") as password,
        throwaway_user("none", password=PASSWORD) as none,
    ):
        yield {"free": free, "password": password, "none": none}


@pytest.mark.parametrize(
    ("user", "given", "expected"),
    [
        ("free", "", ("ready", "passwordless")),
        ("free", PASSWORD, ("ready", "passwordless")),
        ("password", PASSWORD, ("ready", "password")),
        ("password", "", ("failed", "password")),
        ("password", "wrong", ("failed", "denied")),
        ("none", PASSWORD, ("failed", "denied")),
    ],
)
async def test_how_a_login_becomes_root(
    bench: Bench,
    sshd: Sshd,
    users: dict[str, str],
    user: str,
    given: str,
    expected: tuple[str, str],
) -> None:
    bench.pin(web=sshd.host_key)
    prober = bench.prober(draft(sshd, {"web": entry(sshd, user=users[user])}), given)
    found = await prober.probe("web")
    assert (found.state, found.sudo) == expected, texts(found)
    assert PASSWORD not in repr(found)
    assert found.state == "ready" or found.problems[0].fix


async def test_a_wrong_passphrase_is_asked_for_again_and_a_right_one_is_not(
    bench: Bench, sshd: Sshd, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.write_bytes(sshd.identity.read_bytes())
    locked.chmod(0o600)
    argv = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(locked)]
    subprocess.run(argv, check=True)
    bench.pin(web=sshd.host_key, app=sshd.host_key)
    hosts = {"web": entry(sshd), "app": entry(sshd, address="127.0.0.1")}
    bench.operator.answers = ["wrong", "open sesame"]
    prober = bench.prober(draft(sshd, hosts, identity=str(locked)))
    both = await asyncio.gather(prober.probe("web"), prober.probe("app"))
    assert [one.state for one in both] == ["failed", "failed"]
    assert "was the passphrase right?" in texts(both[0])
    for _ in range(2):
        both = await asyncio.gather(prober.probe("web"), prober.probe("app"))
        assert [one.state for one in both] == ["ready", "ready"]
    assert len(bench.operator.questions) == 2
    assert bench.operator.answers == []
    await prober.close()


async def test_an_ended_probe_leaves_nothing_running(
    bench: Bench, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = "6543.21"  # seconds nobody else sleeps for
    monkeypatch.setattr("k3s_tui.procedure.probing._script", lambda _: f"sleep {mark}\n")
    bench.pin(web=sshd.host_key)
    prober = bench.prober(draft(sshd, {"web": entry(sshd)}))
    probe = asyncio.create_task(prober.probe("web"))
    await eventually(lambda: bool(marked(mark)))
    await prober.close()
    assert probe.cancelled()
    await eventually(lambda: not marked(mark) and not sshd.sessions())


async def test_a_later_version_of_the_draft_counts(bench: Bench, sshd: Sshd) -> None:
    bench.pin(web=sshd.host_key)
    prober = bench.prober(draft(sshd, {"web": entry(sshd, port=free_port())}))
    assert (await prober.probe("web")).state == "failed"
    prober.use(draft(sshd, {"web": entry(sshd)}), bench.path, None)
    assert (await prober.probe("web")).state == "ready"


def test_what_an_operator_pastes_is_compared_with_the_key(sshd: Sshd, tmp_path: Path) -> None:
    own = sshd.folder / "host_ed25519.pub"
    argv = ["ssh-keygen", "-l", "-f", str(own)]
    listed = subprocess.check_output(argv, text=True)
    md5 = subprocess.check_output([*argv, "-E", "md5"], text=True)
    right = hostkeys.fingerprint(sshd.host_key)
    for pasted in (
        right,
        f"  {right.removeprefix('SHA256:')}= \n",
        f"sha256:{right.removeprefix('SHA256:')}",
        listed,
        md5,
        md5.split()[1].removeprefix("MD5:").upper(),
        own.read_text(),
        sshd.host_key,
        f"# a comment\n[127.0.0.1]:{sshd.port} {sshd.host_key}\n",
    ):
        assert matches(pasted, sshd.host_key), pasted
    other = keygen(tmp_path / "other").with_name("other.pub")
    for pasted in (
        "",
        "SHA256:",
        "ssh-ed25519",
        right[:-1],
        right.lower(),
        hostkeys.fingerprint(public(tmp_path / "other")),
        other.read_text(),
        public(sshd.folder / "host_rsa"),
    ):
        assert not matches(pasted, sshd.host_key), pasted
