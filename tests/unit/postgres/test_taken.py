"""A role or a database of our names that is somebody else's, or nobody's yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from k3s_tui.core.contract import Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres.database import Database
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.role import Role
from k3s_tui.resources.postgres.settings import SNAKEOIL
from k3s_tui.resources.postgres.standing import Silent, Standing
from k3s_tui.resources.postgres.taken import Unseen
from tests.unit.hands import LocalHands
from tests.unit.postgres.server import Server


def unseen(server: Server) -> Unseen:
    return Unseen(server.psql, "k3s", "k3s", (f"{server.folder}/*",))


async def test_what_a_run_made_that_was_cut_off_is_ours(hands: LocalHands, server: Server) -> None:
    """Before our block stands in pg_hba.conf nothing says so; nor does anything else speak."""
    check = unseen(server)
    assert check.diff(await hands.look(check)) is None
    await hands.settle(Role(server.psql, "k3s", Secret("some-password")))
    assert check.diff(await hands.look(check)) is None
    await hands.settle(Database(server.psql, "k3s", "k3s"))
    assert check.diff(await hands.look(check)) is None
    server.sql("set role k3s; create table kine (id bigserial primary key)", "k3s")
    assert check.diff(await hands.look(check)) is None


async def test_a_tenant_of_the_wanted_name(hands: LocalHands, server: Server) -> None:
    server.sql("create database k3s")
    check = unseen(server)
    assert check.diff(await hands.look(check)) is None  # an administrator made it for K3s
    server.sql("create table invoice ()", "k3s")
    problem = check.diff(await hands.look(check))
    assert isinstance(problem, Problem) and "public.invoice" in problem.text


DEBIAN = Standing("/data", said={"ssl": "on", "ssl_cert_file": SNAKEOIL})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, ""),
        (DEBIAN, ""),
        (replace(DEBIAN, databases=("wiki",)), "serves others (wiki)"),
        (replace(DEBIAN, said={"ssl_cert_file": "/site.crt"}), "serves others (/site.crt)"),
        (replace(DEBIAN, said={"ssl_ca_file": "/site.crt"}), "serves others (/site.crt)"),
        (Silent("starting"), "does not answer"),
    ],
)
def test_one_that_did_not_run_before(found: Standing | Silent | None, words: str) -> None:
    problem = Unseen(Psql(), "k3s", "k3s", ()).diff(found)
    assert (problem is None) == (not words)
    if isinstance(problem, Problem):
        assert words in problem.text and problem.hint
