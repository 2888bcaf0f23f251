from __future__ import annotations

import pytest

from k3s_tui.core.contract import Change
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres.database import Database, DatabaseState
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.role import Role
from tests.unit.hands import LocalHands
from tests.unit.postgres.server import Server


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (DatabaseState(True, "k3s", False), None),
        (DatabaseState(), "create database k3s owned by k3s"),
        (DatabaseState(True, "postgres", False), "owner from postgres to k3s"),
        (DatabaseState(True, "k3s", True), "close it to other roles"),
    ],
)
def test_what_is_to_do(now: DatabaseState, words: str | None) -> None:
    change = Database(Psql(), "k3s", "k3s").diff(now)
    if words is None:
        assert change is None
    else:
        assert isinstance(change, Change)
        assert words in change.summary


async def test_a_database_converges(every_shell: LocalHands, server: Server) -> None:
    await every_shell.settle(Role(server.psql, "k3s", Secret("some-password")))
    database = Database(server.psql, "k3s", "k3s")
    await every_shell.settle(database)
    # What kine needs, and what PostgreSQL 15 no longer grants with `grant all on database`.
    server.sql("set role k3s; create table kine (id bigserial primary key)", "k3s")
    server.sql("create role other login")
    assert server.sql("select has_database_privilege('other', 'k3s', 'connect')") == "f"

    server.sql("alter database k3s owner to postgres; grant connect on database k3s to public")
    change = await every_shell.settle(database)
    assert "postgres" in change.summary
    assert server.sql("select count(*) from kine", "k3s") == "0"
