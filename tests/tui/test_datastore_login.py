"""Step 3: the login to a database that is there already, over a real sshd to a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Button

from k3s_tui.profile import lockfile
from k3s_tui.profile.neighbours import lock_file
from k3s_tui.tui import language
from k3s_tui.tui.widgets.rows import Rows
from tests.ssh.sshd import Sshd, running_sshd
from tests.tui.fields import fill, go
from tests.tui.operator import Operator, how_to, operator
from tests.unit.hands import LocalHands
from tests.unit.postgres import certificates
from tests.unit.postgres import server as servers
from tests.unit.postgres.conftest import template
from tests.unit.postgres.datastore import PASSWORD, converge
from tests.unit.postgres.server import Server

__all__ = ["template"]

DOCUMENT = """\
schema = 1
name = "elsewhere"
[ssh]
user = "root"
become = "root"
identity = "{identity}"
port = {ssh}
[hosts.a]
address = "127.0.0.1"
roles = ["server"]
[hosts.b]
address = "127.0.0.2"
roles = ["server"]
[hosts.lb]
address = "127.0.0.3"
roles = ["loadbalancer"]
[datastore]
mode = "existing"
hostname = "localhost"
port = {port}
ca = "ca.pem"
client-certificate = "client.pem"
client-key = "client.key"
password = "file:password"
[loadbalancer]
address = "127.0.0.3"
[k3s]
version = "v1.36.3+k3s1"
token = "store:k3s.token"
agent-token = "store:k3s.agent-token"
"""


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd("ListenAddress 127.0.0.2") as server:
        yield server


@pytest.fixture(scope="module")
def database(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL that lets K3s in from this machine, and is called localhost."""
    made = servers.launch(template)
    hands = LocalHands("dash", tmp_path_factory.mktemp("database") / "tools")
    asyncio.run(converge(hands, made))
    ca = certificates.authority()
    certificates.install(made.folder, ca, certificates.server_pair(ca, "localhost"))
    pair = certificates.client_pair(ca)
    for name, text in (
        ("ca.pem", ca.certificate_pem),
        ("client.pem", pair.certificate_pem),
        ("client.key", pair.key.reveal()),
    ):
        (made.folder / name).touch(0o600)
        (made.folder / name).write_text(text)
    rules = "hostssl k3s k3s 127.0.0.0/8 scram-sha-256 clientcert=verify-full\n"
    made.hba_file.write_text(rules + made.hba_file.read_text())
    made.sql("select pg_reload_conf()")
    yield made
    servers.remove(made)


@pytest.fixture
def path(folder: Path, sshd: Sshd, database: Server) -> Path:
    """A profile whose servers are known; they are this machine."""
    path = folder / "elsewhere.toml"
    path.write_text(DOCUMENT.format(identity=sshd.identity, ssh=sshd.port, port=database.port))
    for name in ("ca.pem", "client.pem", "client.key"):
        (folder / name).touch(0o600)
        (folder / name).write_text((database.folder / name).read_text())
    (folder / "password").touch(0o600)
    (folder / "password").write_text(PASSWORD.reveal() + "\n")
    lockfile.pin_host_keys(lock_file(path), {"a": sshd.host_key, "b": sshd.host_key})
    return path


def told(user: Operator) -> str:
    rows = user.wizard.screen.query_one("#proofs", Rows).rows
    return "\n".join(f"{row.label}|{row.state}|{row.text}" for row in rows)


async def tried(user: Operator, words: str) -> str:
    """Press the button, and wait for both servers."""
    user.wizard.screen.query_one("#prove", Button).press()
    await user.until(lambda: told(user).count(words) == 2, words)
    return told(user)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_server_is_let_in(folder: Path, path: Path, size: tuple[int, int]) -> None:
    async with operator(folder, path, size) as user:
        await go(user, "datastore")
        said = await tried(user, "let in, by TLSv1.3, from 127.0.0.1")
        assert said.splitlines()[0].startswith("a|ok|") and "b|ok|" in said
        user.wizard.screen.query_one("#proofs", Rows).scroll_visible(animate=False)
        await user.sees("let in, by TLSv1.3")


async def test_in_chinese(folder: Path, path: Path) -> None:
    """What the database says stays as it is: it is searched for."""
    language.use("zh_CN")
    async with operator(folder, path, (120, 40)) as user:
        await go(user, "datastore")
        await user.sees("尝试登录")
        said = await tried(user, "登录成功，TLSv1.3，来自 127.0.0.1")
        assert "a|ok|" in said and "b|ok|" in said
        await fill(user, "absent", "datastore", "database")
        said = await tried(user, "SQLSTATE 28000")
        assert "a|problem|" in said and "pg_hba.conf rejects connection" in said


async def test_without_a_name_it_goes_to_its_address(folder: Path, path: Path) -> None:
    """As the plan will, before any server knows the name."""
    text = path.read_text().replace('"localhost"', '"db.invalid"\naddress = "127.0.0.1"')
    path.write_text(text)
    async with operator(folder, path, (120, 40)) as user:
        await go(user, "datastore")
        said = await tried(user, "is not for the name db.invalid")
        assert "db.invalid:" in said and "(127.0.0.1)" in said


async def test_a_failure_says_why_and_what_to_try(folder: Path, path: Path) -> None:
    async with operator(folder, path, (120, 40)) as user:
        await go(user, "datastore")
        (folder / "password").write_text("not-this-one\n")
        said = await tried(user, "password authentication failed")
        assert said.count("SQLSTATE 28P01") == 2 and "usual causes: another password" in said
        assert "a|problem|" in said


async def test_another_database_and_hostile_words(folder: Path, path: Path) -> None:
    async with operator(folder, path, (120, 40)) as user:
        await go(user, "datastore")
        await fill(user, "absent", "datastore", "database")
        said = await tried(user, "|problem|")
        assert "pg_hba.conf" in said or "does not exist" in said
        await fill(user, "localhost.invalid", "datastore", "hostname")
        said = await tried(user, "does not resolve")
        assert "is datastore.hostname right?" in said


async def test_a_host_that_nobody_looked_at(folder: Path, path: Path) -> None:
    lock_file(path).unlink()
    async with operator(folder, path, (120, 40)) as user:
        await go(user, "datastore")
        said = await tried(user, "look at this host on step 1 first")
        assert said.count("|problem|") == 2


async def test_what_is_not_right_yet_is_not_tried(folder: Path, path: Path) -> None:
    async with operator(folder, path, (120, 40)) as user:
        await go(user, "datastore")
        await fill(user, "", "datastore", "ca")
        user.wizard.screen.query_one("#prove", Button).press()
        await user.pilot.pause()
        assert told(user) == ""
        await user.sees("1 entry to mend")


async def test_only_a_database_that_is_there_is_tried(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        assert not user.wizard.screen.query("#prove")
