"""A PostgreSQL that runs already says what it is without us."""

from __future__ import annotations

from dataclasses import replace

from k3s_tui.resources.postgres import standing
from k3s_tui.resources.postgres.access import Access, Reserved
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.settings import DROP_IN
from k3s_tui.resources.postgres.standing import Standing
from tests.unit.hands import LocalHands
from tests.unit.postgres.server import Server


async def looked(hands: LocalHands, psql: Psql) -> Standing | None:
    return standing.parse(await hands.sh(standing.look(psql, "k3s", "k3s")))


async def test_others_and_their_settings_without_ours(
    every_shell: LocalHands, server: Server
) -> None:
    server.sql("create role k3s")
    server.sql("create database wiki owner k3s")
    ours = server.data / DROP_IN
    ours.parent.mkdir(exist_ok=True)
    ours.write_text("password_encryption = 'scram-sha-256'\nssl_ca_file = '/ours'\n")
    (server.data / "theirs.pem").write_text("their CA")
    with server.config_file.open("a") as conf:
        conf.write("ssl_ca_file = 'theirs.pem'\npassword_encryption = 'md5'\n")
        conf.write(f"include = '{DROP_IN}'\n")
    block = Access(server.psql, "", "k3s", "k3s", ("10.0.0.1",)).block()
    server.hba_file.write_text(block + server.hba_file.read_text())
    found = await looked(every_shell, server.psql)
    assert found is not None
    assert found.said == {"ssl_ca_file": "theirs.pem", "password_encryption": "md5"}
    assert found.ca_pem == "their CA" and found.path("ssl_ca_file") == f"{server.data}/theirs.pem"
    assert (found.databases, found.owns, found.owner) == (("wiki",), ("wiki",), "")
    assert found.ours == Reserved("k3s", "k3s")
    assert not found.serves_tls and not found.sessions


async def test_nobody_runs_there(every_shell: LocalHands, server: Server) -> None:
    assert await looked(every_shell, replace(server.psql, port=1)) is None
