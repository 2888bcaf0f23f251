"""A role or a database of our names that is somebody else's already.

An empty database and an unused role are nobody's yet: an administrator made them for K3s, or a run
of ours that was cut off.  Once our block stands in pg_hba.conf, its names are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Change, Probe, Problem
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.settings import SNAKEOIL
from k3s_tui.resources.postgres.standing import Silent, Standing, look, parse


def objection(there: Standing, database: str, role: str) -> Problem | None:
    """Why K3s must not take these."""
    if there.ours.database != database and there.ours.database in there.databases:
        # Rules and certificates of ours are for one cluster: another's would replace them.
        return Problem(
            f"k3s-tui keeps its database {there.ours.database} for another cluster",
            f"if there is no such cluster any more, drop the database {there.ours.database}",
        )
    ours = {database, there.ours.database} - {""}
    return _about_role(there, role, ours) or _about_database(there, database, role)


def _about_role(there: Standing, role: str, ours: set[str]) -> Problem | None:
    owns = [database for database in there.owns if database not in ours]
    if owns:
        return _another_role(f"its role {role} owns {', '.join(owns)}")
    if there.ours.role == role:
        return None
    if sessions := [s for s in there.sessions if s.role == role and s.database not in ours]:
        return _another_role(f"its role {role} is in use: {'; '.join(map(str, sessions))}")
    if used := [database for database in there.uses if database not in ours]:
        named = ", ".join(f"database {name}" if name else "the whole cluster" for name in used)
        return _another_role(f"its role {role} owns or was granted something in {named}")
    if there.related:
        named = ", ".join(there.related)
        return _another_role(f"its role {role} is a member of others, or has members: {named}")
    if there.powers:
        return _another_role(f"its role {role} may do more than log in: {', '.join(there.powers)}")
    return None


def _another_role(what: str) -> Problem:
    return Problem(
        f"{what}: it is somebody else's, and would get another password and be locked out",
        "name another role: datastore.user",
    )


def _about_database(there: Standing, database: str, role: str) -> Problem | None:
    if there.ours.database == database:
        return None
    hint = "name another database: datastore.database"
    # An administrator's, or made for K3s: `postgres` owns what nobody was named for.
    if there.owner not in ("", role, "postgres", there.ours.role):
        return Problem(f"its database {database} belongs to {there.owner}", hint)
    if there.tenants:
        text = f"its database {database} holds what K3s has not made: {', '.join(there.tenants)}"
        return Problem(f"{text}; everybody else would be locked out of it", hint)
    return None


@dataclass(frozen=True)
class Unseen:
    """A cluster that did not answer before the plan was made: nothing in it is somebody else's.

    All that is written goes by what was found there, so one that is gets a plan of its own.
    """

    psql: Psql
    database: str
    role: str
    data_folders: tuple[str, ...]

    def probe(self) -> Probe[Standing | Silent | None]:
        ask = look(self.psql, self.database, self.role, self.data_folders)
        return Probe(ask, parse)

    def diff(
        self, now: Standing | Silent | None
    ) -> Change[Standing | Silent | None] | Problem | None:
        if isinstance(now, Silent):
            return Problem("PostgreSQL is there and does not answer", "try again once it does")
        if now is None:
            return None
        if problem := objection(now, self.database, self.role):
            return problem
        files = [now.said.get(name, "") for name in ("ssl_cert_file", "ssl_ca_file")]
        others = [*now.databases, *(file for file in files if file not in ("", SNAKEOIL))]
        if not others:
            return None
        return Problem(
            f"this PostgreSQL serves others ({', '.join(others)}), and did not run when it was"
            " looked at",
            "run again, now that it runs: such a one is looked at first",
        )
