"""The datastore holds the cluster that its servers belong to.

K3s asks nobody: before an empty datastore it founds a second cluster, while the first one's servers
run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Check, Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres.login import Outcome
from k3s_tui.resources.postgres.ownership import (
    Ownership,
    OwnershipState,
    bootstrap_key,
    objection,
)


@dataclass(frozen=True)
class HoldsCluster:
    """A check on the datastore's host: the rows there are of the cluster that `servers` are of.

    `surely`: what is not found there is not there; else PostgreSQL may just not run now.
    """

    ownership: Ownership
    servers: tuple[str, ...]
    surely: bool = True

    def probe(self) -> Probe[OwnershipState]:
        return self.ownership.probe()

    def diff(self, now: OwnershipState) -> Problem | None:
        if now.answer == "absent":
            return _lost(self.ownership.database, self.servers) if self.surely else None
        if now.answer != "read":
            return None  # `Ownership` itself says so
        rows = tuple(name for name, _ in now.bootstrap)
        if objection(now, self.ownership.database, self.ownership.token):
            return None
        return _judged(rows, self.ownership.token, self.ownership.database, self.servers)


@dataclass(frozen=True)
class HoldsClusterThere:
    """A check on the server `name`: so does a database that is somebody else's.

    `login` proves K3s's login, and brings the rows; why it fails is told by itself.
    """

    login: Check[Outcome]
    database: str
    token: Secret
    name: str

    def probe(self) -> Probe[Outcome]:
        return self.login.probe()

    def diff(self, now: Outcome) -> Problem | None:
        if now.kind != "ok":
            return None
        found: Any = {"bootstrap": {}, "registry": False}
        if now.rows:
            found = json.loads(now.rows)
        state = OwnershipState("read", tuple(found["bootstrap"].items()), found["registry"])
        if objection(state, self.database, self.token):
            return None
        return _judged(found["bootstrap"], self.token, self.database, (self.name,))


def _judged(
    rows: Iterable[str], token: Secret, database: str, servers: tuple[str, ...]
) -> Problem | None:
    # Also one that is locked counts, and has no value yet: a first start that was cut off.
    return None if bootstrap_key(token) in rows else _lost(database, servers)


def _lost(database: str, servers: tuple[str, ...]) -> Problem:
    belong = "belongs" if len(servers) == 1 else "belong"
    return Problem(
        f"database {database} does not hold the cluster that {', '.join(servers)} {belong} to:"
        " K3s would found a second one",
        "name the datastore where that cluster is; if its data is lost, restore it; for a new"
        " cluster, first run k3s-uninstall.sh on the servers",
    )
