from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from k3s_tui.core.errors import (
    AuthenticationFailed,
    CredentialsError,
    Unreachable,
    UsageError,
)
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.ssh import Connector
from k3s_tui.hosts.target import AGENT
from tests.ssh.conftest import Connect, target
from tests.ssh.sshd import Sshd, free_port, keygen, running_sshd
from tests.ssh.users import throwaway_user


class Answers:
    """Answers every question with one passphrase, and counts."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.questions: list[str] = []

    async def secret(self, question: str, *, flag: str) -> Secret:
        self.questions.append(question)
        await asyncio.sleep(0)
        return Secret(self.answer)

    async def confirm(self, question: str, *, flag: str) -> bool:
        raise AssertionError(question)


def _listens(path: str) -> bool:
    """Its file is there from bind() on, and refuses connections until listen()."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@contextmanager
def agent_with(folder: Path, *keys: Path) -> Iterator[str]:
    path = str(folder / "agent.sock")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        while not _listens(path):
            assert agent.poll() is None
        env = {**os.environ, "SSH_AUTH_SOCK": path}
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True)
        yield path
    finally:
        agent.terminate()
        agent.wait(5)


@pytest.fixture
def locked(sshd: Sshd, tmp_path: Path) -> Path:
    """The accepted key, with a passphrase."""
    path = tmp_path / "locked"
    path.write_bytes(sshd.identity.read_bytes())
    path.chmod(0o600)
    argv = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path


async def log_in(connector: Connector, server: Sshd, **changes: object) -> None:
    transport = await connector.connect(target(server, **changes))
    try:
        assert (await transport.exec("echo in")).out == b"in\n"
    finally:
        await transport.close()


async def test_a_refused_key_names_the_login_and_the_way_to_install_it(
    connect: Connect, sshd: Sshd, tmp_path: Path
) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        await connect(sshd, identity=str(keygen(tmp_path / "stranger")))
    assert "'root'" in caught.value.text and "stranger" in caught.value.text
    assert f"ssh-copy-id -p {sshd.port} root@127.0.0.1" in caught.value.hint


async def test_a_user_who_does_not_exist_is_refused_alike(connect: Connect, sshd: Sshd) -> None:
    with pytest.raises(AuthenticationFailed, match="nobody-here"):
        await connect(sshd, user="nobody-here")


async def test_a_key_file_that_is_missing_or_none(
    connect: Connect, sshd: Sshd, tmp_path: Path
) -> None:
    with pytest.raises(CredentialsError, match="No such file"):
        await connect(sshd, identity=str(tmp_path / "missing"))
    (tmp_path / "text").write_text("hello, this is no key")
    with pytest.raises(CredentialsError, match="not an SSH key"):
        await connect(sshd, identity=str(tmp_path / "text"))


async def test_no_key_at_all_points_to_the_agent(connect: Connect, sshd: Sshd) -> None:
    with pytest.raises(CredentialsError) as caught:
        await connect(sshd, identity=AGENT)
    assert "ssh-add" in caught.value.hint


async def test_the_usual_key_files_serve_without_an_agent(home: Path, sshd: Sshd) -> None:
    (home / ".ssh" / "id_ed25519").write_bytes(sshd.identity.read_bytes())
    async with Connector(home=home, agent="") as connector:
        await log_in(connector, sshd, identity=AGENT)


async def test_a_passphrase_is_asked_once_for_all_hosts(
    home: Path, sshd: Sshd, locked: Path
) -> None:
    ask = Answers("open sesame")
    async with Connector(home=home, agent="", ask=ask) as connector:
        logins = (log_in(connector, sshd, name=f"h{n}", identity=str(locked)) for n in range(3))
        await asyncio.gather(*logins)
    assert ask.questions == [f"Passphrase of the SSH key {locked}"]


async def test_a_wrong_passphrase_is_not_tried_again(home: Path, sshd: Sshd, locked: Path) -> None:
    ask = Answers("sesame street")
    async with Connector(home=home, agent="", ask=ask) as connector:
        for _ in range(2):
            with pytest.raises(CredentialsError, match="cannot use the SSH key") as caught:
                await log_in(connector, sshd, identity=str(locked))
            assert "passphrase" in caught.value.hint
    assert len(ask.questions) == 1


async def test_an_encrypted_key_without_anybody_to_ask(
    connect: Connect, sshd: Sshd, locked: Path
) -> None:
    with pytest.raises(CredentialsError, match="needs a passphrase") as caught:
        await connect(sshd, identity=str(locked))
    assert f"ssh-add {locked}" in caught.value.hint


async def test_a_key_that_the_agent_holds_needs_no_passphrase(
    home: Path, sshd: Sshd, locked: Path, tmp_path: Path
) -> None:
    ask = Answers("")
    with agent_with(tmp_path, sshd.identity) as agent:
        async with Connector(home=home, agent=agent, ask=ask) as connector:
            await log_in(connector, sshd, identity=str(locked))
            await log_in(connector, sshd, identity=f"{sshd.identity}.pub")
            await log_in(connector, sshd, identity=AGENT)
    assert ask.questions == []


async def test_an_explicit_key_is_the_only_one_offered(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers = [keygen(tmp_path / f"stranger-{n}") for n in range(7)]
    with running_sshd() as server, agent_with(tmp_path, *strangers, server.identity) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", agent)
        async with Connector(home=home, agent=agent) as connector:
            await log_in(connector, server)
            assert server.log.count("Failed publickey") == 0
            with pytest.raises(AuthenticationFailed) as caught:
                await log_in(connector, server, identity=AGENT)
        assert "too many of 8 keys" in caught.value.text
        assert "identity" in caught.value.hint


async def test_the_ssh_config_completes_a_target(home: Path, sshd: Sshd) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host db\n  Hostname 127.0.0.1\n  Port {sshd.port}\n  User root\n"
        f"  IdentityFile {sshd.identity}\n"
    )
    async with Connector(home=home, agent="") as connector:
        await log_in(connector, sshd, address="db", port=None, user=None, identity=AGENT)
        # What the profile says comes first.
        with pytest.raises(AuthenticationFailed, match="nobody-here"):
            await log_in(connector, sshd, address="db", port=None, user="nobody-here")


async def test_identities_only_limits_the_agent(home: Path, tmp_path: Path) -> None:
    strangers = [keygen(tmp_path / f"stranger-{n}") for n in range(7)]
    with running_sshd() as server, agent_with(tmp_path, *strangers, server.identity) as agent:
        (home / ".ssh" / "config").write_text(
            f"IdentitiesOnly yes\nIdentityFile {server.identity}\n"
        )
        async with Connector(home=home, agent=agent) as connector:
            await log_in(connector, server, identity=AGENT)


async def test_a_broken_ssh_config_is_named(home: Path, sshd: Sshd) -> None:
    (home / ".ssh" / "config").write_text("Port many\n")
    async with Connector(home=home, agent="") as connector:
        with pytest.raises(UsageError, match="config"):
            await log_in(connector, sshd)


async def test_hosts_that_cannot_be_reached(connect: Connect, sshd: Sshd) -> None:
    with pytest.raises(Unreachable, match="nothing listens"):
        await connect(sshd, port=free_port())
    with pytest.raises(Unreachable, match="cannot be resolved"):
        await connect(sshd, address="no-such-host.invalid")


async def test_a_silent_server_is_given_up_in_time(connect: Connect, sshd: Sshd) -> None:
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"):
        await connect(sshd, port=port, connect_timeout=0.2)
    silent.close()


async def test_a_server_that_is_none_of_ssh(connect: Connect, sshd: Sshd) -> None:
    async def web(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 1000)

    server = await asyncio.start_server(web, "127.0.0.1", 0)
    with pytest.raises(Unreachable, match="no SSH connection"):
        await connect(sshd, port=server.sockets[0].getsockname()[1])
    server.close()


async def test_logins_that_sshd_drops_are_tried_again(connect: Connect) -> None:
    with running_sshd("MaxStartups 2:100:2") as server:
        transports = await asyncio.gather(*(connect(server, name=f"h{n}") for n in range(8)))
        results = await asyncio.gather(*(t.exec("echo in") for t in transports))
        assert {result.out for result in results} == {b"in\n"}
        assert "drop connection" in server.log


async def test_noise_of_the_login_shell_is_left_out(connect: Connect) -> None:
    with running_sshd() as server:
        (server.folder / ".bashrc").write_text("echo Welcome; echo oops >&2; printf 'no newline'\n")
        lines: list[str] = []
        transport = await connect(server)
        result = await transport.exec("echo out; echo err >&2", on_line=lines.append)
        assert (result.out, result.err, lines) == (b"out\n", b"err\n", ["err"])


async def test_a_csh_login(connect: Connect, sshd: Sshd) -> None:
    with throwaway_user("csh", shell="/bin/csh", sudoers="{user} ALL=(ALL) NOPASSWD: ALL") as user:
        transport = await connect(sshd, user=user)
        assert (await transport.exec("id -u; echo '!'")).out == b"0\n!\n"


async def test_a_login_without_a_shell_is_told_as_such(connect: Connect, sshd: Sshd) -> None:
    with (
        throwaway_user("nologin", shell="/usr/sbin/nologin") as user,
        pytest.raises(CredentialsError, match="not available") as caught,
    ):
        await connect(sshd, user=user)
    assert "login shell" in caught.value.hint
