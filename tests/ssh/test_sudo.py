"""Real sudo, real accounts; each is removed again."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from k3s_tui.core.errors import CredentialsError, SudoDenied
from k3s_tui.core.secret import Secret
from tests.ssh.conftest import Connect
from tests.ssh.processes import eventually, marked
from tests.ssh.sshd import Sshd
from tests.ssh.users import throwaway_user

PASSWORD = "correct horse 'battery\" $taple"


@pytest.fixture(scope="module")
def with_password() -> Iterator[str]:
    with throwaway_user(
        "pw", password=PASSWORD, sudoers="{user} ALL=(ALL) ALL\nDefaults:{user} passwd_tries=3"
    ) as user:
        yield user


@pytest.fixture(scope="module")
def without_password() -> Iterator[str]:
    with throwaway_user("nopw", sudoers="{user} ALL=(ALL) NOPASSWD: ALL") as user:
        yield user


async def test_sudo_without_a_password(connect: Connect, sshd: Sshd, without_password: str) -> None:
    transport = await connect(sshd, user=without_password)
    assert (await transport.exec("id -u; cat", stdin=b"in")).out == b"0\nin"


async def test_a_password_is_not_fed_to_a_sudo_that_needs_none(
    connect: Connect, sshd: Sshd, without_password: str
) -> None:
    transport = await connect(sshd, user=without_password, sudo_password=Secret(PASSWORD))
    assert (await transport.exec("id -u; cat")).out == b"0\n"


async def test_sudo_with_a_password(
    connect: Connect, sshd: Sshd, with_password: str, tmp_path: Path
) -> None:
    transport = await connect(sshd, user=with_password, sudo_password=Secret(PASSWORD))
    lines: list[str] = []
    result = await transport.exec("id -u; cat; echo err >&2", stdin=b"in", on_line=lines.append)
    assert (result.out, lines) == (b"0\nin", ["err"])
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))
    await transport.put(str(tmp_path / "there"), source)
    assert (tmp_path / "there").read_bytes() == source.read_bytes()
    async with transport.hold("echo held; exec cat >/dev/null") as line:
        assert line == "held"
    results = await asyncio.gather(*(transport.exec(f"echo {n}") for n in range(10)))
    assert [int(result.out) for result in results] == list(range(10))


async def test_a_wrong_password_is_tried_exactly_once(
    connect: Connect, sshd: Sshd, with_password: str, tmp_path: Path
) -> None:
    log = tmp_path / "sudo.log"
    rule = Path("/etc/sudoers.d") / f"{with_password}-log"
    rule.touch(mode=0o440)
    rule.write_text(f"Defaults:{with_password} logfile={log}\n")
    try:
        with pytest.raises(SudoDenied, match="refused the password") as caught:
            await connect(sshd, user=with_password, sudo_password=Secret("wrong"))
    finally:
        rule.unlink()
    assert "wrong" not in f"{caught.value} {caught.value.hint}"
    # One line is the look with `-n`, which tries no password.
    assert log.read_text().count("1 incorrect password attempt") == 1
    assert "attempts" not in log.read_text()


async def test_a_missing_password_is_asked_for_by_name(
    connect: Connect, sshd: Sshd, with_password: str
) -> None:
    with pytest.raises(SudoDenied, match="needs a password") as caught:
        await connect(sshd, user=with_password)
    assert "sudo-password" in caught.value.hint


async def test_a_ticket_of_an_earlier_sudo_does_not_count(connect: Connect, sshd: Sshd) -> None:
    rule = "{user} ALL=(ALL) ALL\nDefaults:{user} timestamp_type=global"
    with throwaway_user("ticket", password=PASSWORD, sudoers=rule) as user:
        login = ["runuser", "-u", user, "--", "sudo", "-S", "-v"]
        subprocess.run(login, input=PASSWORD + "\n", text=True, check=True, capture_output=True)
        with pytest.raises(SudoDenied, match="needs a password"):
            await connect(sshd, user=user)


async def test_a_user_whom_sudo_does_not_know(connect: Connect, sshd: Sshd) -> None:
    with (
        throwaway_user("plain", password=PASSWORD) as user,
        pytest.raises(SudoDenied, match="does not allow"),
    ):
        await connect(sshd, user=user, sudo_password=Secret(PASSWORD))


async def test_a_sudo_that_wants_a_terminal(connect: Connect, sshd: Sshd) -> None:
    rule = "{user} ALL=(ALL) NOPASSWD: ALL\nDefaults:{user} requiretty"
    with (
        throwaway_user("tty", sudoers=rule) as user,
        pytest.raises(SudoDenied, match="requiretty"),
    ):
        await connect(sshd, user=user)


async def test_an_own_pty_of_sudo_does_not_eat_the_script(connect: Connect, sshd: Sshd) -> None:
    rule = "{user} ALL=(ALL) ALL\nDefaults:{user} use_pty"
    with throwaway_user("usepty", password=PASSWORD, sudoers=rule) as user:
        transport = await connect(sshd, user=user, sudo_password=Secret(PASSWORD))
        result = await transport.exec("id -u; cat", stdin=bytes(range(256)) * 100)
        assert result.out == b"0\n" + bytes(range(256)) * 100


async def test_root_asked_for_and_not_got(
    connect: Connect, sshd: Sshd, without_password: str
) -> None:
    with pytest.raises(CredentialsError, match="not root"):
        await connect(sshd, user=without_password, become="root")


@pytest.mark.parametrize("use_pty", [False, True])
async def test_cancelling_reaches_through_sudo(connect: Connect, sshd: Sshd, use_pty: bool) -> None:
    mark = f"6{os.getpid()}.{int(use_pty)}"
    rule = "{user} ALL=(ALL) ALL\nDefaults:{user} " + ("use_pty" if use_pty else "!use_pty")
    with throwaway_user("cancel", password=PASSWORD, sudoers=rule) as user:
        transport = await connect(sshd, user=user, sudo_password=Secret(PASSWORD))
        running = asyncio.create_task(transport.exec(f"trap '' HUP; sleep {mark}; sleep {mark}"))
        await eventually(lambda: bool(marked(f"sleep\0{mark}")))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await eventually(lambda: not marked(f"sleep\0{mark}"))


async def test_the_password_is_in_no_argv_and_no_environment(
    connect: Connect, sshd: Sshd, with_password: str
) -> None:
    transport = await connect(sshd, user=with_password, sudo_password=Secret(PASSWORD))
    result = await transport.exec("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null")
    assert len(result.out) > 100
    assert PASSWORD.encode() not in result.out
