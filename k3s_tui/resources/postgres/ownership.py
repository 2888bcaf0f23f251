"""Is this my cluster's data?  Asked before anything is installed, and again before K3s starts.

K3s keeps its CA keys in the row `/bootstrap/<first 12 hex of sha256(token)>`, encrypted with the
token.  A server that finds another token's row refuses to start, after minutes; worse, one that
finds registry rows and no bootstrap row would found a second cluster on top of the first.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from k3s_tui.core.contract import Change, Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer, field, fields

# kine appends: the newest row of a name counts, and `deleted` on it says that it is gone.
# A first start that was cut off leaves `compact_rev_key`, `/registry/health`, and our bootstrap
# row without a value: none of those is anybody's data.
ROWS = """
select json_build_object(
    'bootstrap', coalesce((select json_object_agg(name, size) from (
        select distinct on (name) name, deleted, coalesce(octet_length(value), 0) as size
        from kine where name like '/bootstrap/%' order by name, id desc) latest
        where deleted = 0), '{}'),
    'registry', exists (select from (
        select distinct on (name) name, deleted
        from kine where name like '/registry/%' and name <> '/registry/health'
        order by name, id desc) latest
        where deleted = 0))
"""
"""Where there is a table `kine`: its bootstrap rows, and whether a cluster keeps objects there."""

_LOOK = f"""
select to_regclass('public.kine') is null as missing \\gset
\\if :missing
select json_build_object('bootstrap', '{{}}'::json, 'registry', false);
\\else
{ROWS};
\\endif
"""

Answer = Literal["absent", "starting", "unreadable", "read"]


_START_SECONDS = 20
"""How long a server that is starting up is waited for."""


@dataclass(frozen=True)
class OwnershipState:
    """`bootstrap` maps the bootstrap rows to the length of their values, 0 while locked.

    `registry`: whether a cluster keeps objects here.  Only `read` says anything about rows;
    `absent` is: no server, no database.
    """

    answer: Answer = "absent"
    bootstrap: tuple[tuple[str, int], ...] = ()
    registry: bool = False


@dataclass(frozen=True)
class Ownership:
    """The database is empty, or holds the cluster that this token belongs to."""

    psql: Psql
    database: str
    token: Secret

    def probe(self) -> Probe[OwnershipState]:
        known = self.psql.run(
            "select 'known' from pg_database where datname = :'name';", name=self.database
        )
        said = field("state", 'echo "$state"') + "\n" + field("rows", 'printf %s "$rows"')
        script = f"""{AS_POSTGRES}
if command -v pg_isready >/dev/null 2>&1; then {self.psql.ready()}; ready=$?; else ready=2; fi
# After a run that was killed while packages came in, it may be in the middle of its first start.
if [ "$ready" = 1 ] && {self.psql.await_ready(_START_SECONDS)}; then ready=0; fi
state=absent
if [ "$ready" = 1 ]; then state=starting
elif [ "$ready" = 0 ]; then
    if ! known=$({known}); then state=unreadable
    elif [ -n "$known" ]; then
        if rows=$({self.psql.run(_LOOK, database=self.database)})
        then state=read; else state=unreadable; fi
    fi
fi
{said}
"""
        return Probe(script, _parse)

    def diff(self, now: OwnershipState) -> Change[OwnershipState] | Problem | None:
        if now.answer == "starting":
            return Problem("PostgreSQL is starting up", "try again once it takes connections")
        if now.answer == "unreadable":
            return Problem(
                f"PostgreSQL runs, but database {self.database} could not be looked into",
                f"as postgres: psql -d {self.database} -c 'table kine limit 1'",
            )
        return objection(now, self.database, self.token)


def objection(now: OwnershipState, database: str, token: Secret) -> Problem | None:
    """What speaks against rows that were read: they are another cluster's."""
    theirs = [size for name, size in now.bootstrap if name != bootstrap_key(token)]
    ours = len(theirs) < len(now.bootstrap)
    if any(theirs):
        return Problem(
            f"database {database} holds another cluster's data: it was made with another token",
            "bring that cluster's token back (k3s-tui secret set k3s.token), or name another"
            " database in the profile",
        )
    if theirs:
        return Problem(
            f"database {database} is locked by the unfinished first start of a server"
            " with another token",
            "bring that token back (k3s-tui secret set k3s.token); or, when no server uses"
            f' it: psql -d {database} -c "delete from kine where name like'
            " '/bootstrap/%'\"",
        )
    if now.registry and not ours:
        return Problem(
            f"database {database} holds another cluster's data: objects, and no key to them",
            "restore that cluster's datastore with its token, or name another database in"
            " the profile",
        )
    return None


def bootstrap_key(token: Secret) -> str:
    """The row's name.  Of a full token (`K10…::server:PASSWORD`) only the password counts."""
    value = token.reveal()
    if value.startswith("K10") and "::" in value:
        value = value.partition("::")[2].partition(":")[2]
    return "/bootstrap/" + hashlib.sha256(value.encode()).hexdigest()[:12]


def _parse(out: bytes) -> OwnershipState:
    said = fields(out)
    state = said.get("state", b"").strip()
    if state == b"read":
        found = answer(said.get("rows", b""))
        if found is None:
            return OwnershipState("unreadable")
        return OwnershipState("read", tuple(found["bootstrap"].items()), found["registry"])
    if state == b"absent":
        return OwnershipState("absent")
    return OwnershipState("starting" if state == b"starting" else "unreadable")
