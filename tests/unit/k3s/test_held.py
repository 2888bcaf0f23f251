"""Servers belong to a cluster, and the datastore must be the one that holds it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from k3s_tui.core.contract import Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.k3s.held import HoldsCluster, HoldsClusterThere
from k3s_tui.resources.mysql.proof import MysqlProof
from k3s_tui.resources.postgres.elsewhere import ElsewhereProof
from k3s_tui.resources.postgres.login import Login, Outcome
from k3s_tui.resources.postgres.ownership import Ownership, OwnershipState, bootstrap_key
from k3s_tui.resources.postgres.psql import Psql

TOKEN = Secret("eP7vY-token_of_ours")
OURS = bootstrap_key(TOKEN)
THEIRS = bootstrap_key(Secret("another"))
LOST = (
    "database k3s does not hold the cluster that k3s-server-1, k3s-server-2 belong to:"
    " K3s would found a second one"
)


def held(now: OwnershipState, *, surely: bool) -> str:
    ownership = Ownership(Psql(), "k3s", TOKEN)
    found = HoldsCluster(ownership, ("k3s-server-1", "k3s-server-2"), surely).diff(now)
    return found.text if found else ""


@pytest.mark.parametrize("surely", [True, False])
@pytest.mark.parametrize(
    ("now", "text"),
    [
        (OwnershipState("read", ((OURS, 900),), True), ""),
        # Its first start was cut off, when its CA was made already.
        (OwnershipState("read", ((OURS, 0),)), ""),
        (OwnershipState("read"), LOST),
        # `Ownership` tells these, in words of their own.
        (OwnershipState("read", ((THEIRS, 900),), True), ""),
        (OwnershipState("read", (), True), ""),
        (OwnershipState("unreadable"), ""),
        (OwnershipState("starting"), ""),
    ],
)
def test_a_database_of_ours(now: OwnershipState, text: str, surely: bool) -> None:
    assert held(now, surely=surely) == text


def test_what_does_not_run_may_hold_it() -> None:
    assert held(OwnershipState("absent"), surely=False) == ""
    assert held(OwnershipState("absent"), surely=True) == LOST


LOGIN = Login("db.example.org", 5432, "k3s", "k3s", Secret("password"), "ca", None)


@pytest.mark.parametrize("proof", [ElsewhereProof, MysqlProof])
@pytest.mark.parametrize(
    ("kind", "rows", "lost"),
    [
        ("ok", {"bootstrap": {OURS: 900}, "registry": True}, False),
        ("ok", {"bootstrap": {OURS: 0}, "registry": False}, False),
        ("ok", {"bootstrap": {}, "registry": False}, True),
        ("ok", None, True),
        ("ok", {"bootstrap": {THEIRS: 900}, "registry": True}, False),
        # The proof of the login tells what is wrong with it.
        ("password", None, False),
    ],
)
def test_a_database_of_theirs(
    proof: Any, kind: Any, rows: dict[str, Any] | None, lost: bool
) -> None:
    check = HoldsClusterThere(proof(LOGIN, TOKEN), "k3s", TOKEN, "k3s-server-1")
    found = check.diff(Outcome(kind, rows=json.dumps(rows) if rows else ""))
    assert isinstance(found, Problem) == lost
    if found:
        assert "k3s-server-1 belongs to" in found.text and "k3s-uninstall.sh" in found.hint
