from __future__ import annotations

import hashlib

import pytest

from k3s_tui.core.contract import Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres.ownership import Ownership, OwnershipState, bootstrap_key
from k3s_tui.resources.postgres.psql import Psql
from tests.unit.hands import LocalHands
from tests.unit.postgres.server import Server

TOKEN = Secret("eP7vY-token_of_ours")
OURS = bootstrap_key(TOKEN)
THEIRS = bootstrap_key(Secret("another"))

# kine's own table (its indexes do not matter here).
KINE = """
create table kine (id bigserial primary key, name text collate "C", created integer,
    deleted integer, create_revision bigint, prev_revision bigint, lease integer,
    value bytea, old_value bytea);
"""


def test_the_key_is_of_the_password_alone() -> None:
    assert hashlib.sha256(b"secret").hexdigest()[:12] == bootstrap_key(Secret("secret"))[11:]
    full = Secret(f"K10{'a' * 64}::server:secret")
    assert bootstrap_key(full) == bootstrap_key(Secret("secret"))
    assert bootstrap_key(Secret("K10secret")) != bootstrap_key(Secret("secret"))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (OwnershipState(), None),
        (OwnershipState("read"), None),
        (OwnershipState("read", ((OURS, 900),), True), None),
        # A first start of ours that was cut off: the row is locked, and empty.
        (OwnershipState("read", ((OURS, 0),)), None),
        (OwnershipState("read", ((THEIRS, 900),), True), "another cluster's data"),
        (OwnershipState("read", ((OURS, 900), (THEIRS, 900)), True), "another cluster's data"),
        (OwnershipState("read", ((THEIRS, 0),)), "unfinished first start"),
        (OwnershipState("read", (), True), "no key to them"),
        (OwnershipState("starting"), "starting up"),
        (OwnershipState("unreadable"), "could not be looked into"),
    ],
)
def test_whose_it_is(now: OwnershipState, words: str | None) -> None:
    problem = Ownership(Psql(), "k3s", TOKEN).diff(now)
    if words is None:
        assert problem is None
    else:
        assert isinstance(problem, Problem)
        assert words in problem.text
        assert problem.hint
        assert THEIRS not in problem.text + problem.hint


def row(name: str, value: str = "x", deleted: int = 0) -> str:
    return (
        "insert into kine (name, created, deleted, value) "
        f"values ('{name}', 1, {deleted}, '{value}');"
    )


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        ("", OwnershipState("read")),
        # kine and K3s write these before there is any data.
        (
            row("compact_rev_key", "") + row("/registry/health", '{"health":"true"}'),
            OwnershipState("read"),
        ),
        (row(OURS, ""), OwnershipState("read", ((OURS, 0),))),
        (row(OURS, "") + row(OURS, "salt:data"), OwnershipState("read", ((OURS, 9),))),
        (row(THEIRS) + row(THEIRS, deleted=1), OwnershipState("read")),
        (row("/registry/minions/a"), OwnershipState("read", (), True)),
        (row("/registry/minions/a") + row("/registry/minions/a", "", 1), OwnershipState("read")),
        (
            row(OURS) + row(THEIRS) + row("/registry/minions/a"),
            OwnershipState("read", tuple(sorted([(OURS, 1), (THEIRS, 1)])), True),
        ),
    ],
)
async def test_the_latest_live_rows_count(
    hands: LocalHands, server: Server, rows: str, state: OwnershipState
) -> None:
    server.sql("create database k3s")
    server.sql(KINE + rows, "k3s")
    assert await hands.look(Ownership(server.psql, "k3s", TOKEN)) == state


async def test_from_no_server_to_a_cluster_of_ours(every_shell: LocalHands, server: Server) -> None:
    hands = every_shell
    ownership = Ownership(server.psql, "k3s", TOKEN)
    nobody = Ownership(Psql(1, str(hands.tools)), "k3s", TOKEN)
    assert await hands.look(nobody) == OwnershipState("absent")
    assert await hands.look(ownership) == OwnershipState("absent")
    server.sql("create database k3s")
    assert await hands.look(ownership) == OwnershipState("read")
    server.sql(KINE + row(OURS, "salt:data") + row("/registry/minions/a"), "k3s")
    assert await hands.look(ownership) == OwnershipState("read", ((OURS, 9),), True)


async def test_what_cannot_be_read_is_not_taken_for_empty(
    hands: LocalHands, server: Server
) -> None:
    server.sql("create database k3s allow_connections false")
    ownership = Ownership(server.psql, "k3s", TOKEN)
    assert await hands.look(ownership) == OwnershipState("unreadable")


async def test_a_host_without_postgresql_holds_nothing(hands: LocalHands) -> None:
    hands.tool("pg_isready", "exit 127")
    assert await hands.look(Ownership(Psql(), "k3s", TOKEN)) == OwnershipState("absent")


async def test_a_server_that_is_starting_is_waited_for(hands: LocalHands, server: Server) -> None:
    """It rejects connections twice; then it is the real one."""
    server.sql("create database k3s")
    count = hands.tools / "asked"
    count.write_text("")
    hands.tool(
        "pg_isready",
        f"""printf x >>{count}; read asked <{count}; [ "${{#asked}}" -gt 2 ]""",
    )
    hands.tool("sleep", "exit 0")
    assert await hands.look(Ownership(server.psql, "k3s", TOKEN)) == OwnershipState("read")
    assert len(count.read_text()) == 3


async def test_a_server_that_goes_on_starting_is_not_taken_for_empty(hands: LocalHands) -> None:
    hands.tool("pg_isready", "exit 1")
    hands.tool("sleep", "exit 0")
    assert await hands.look(Ownership(Psql(), "k3s", TOKEN)) == OwnershipState("starting")
