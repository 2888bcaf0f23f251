"""The database of kine's table, owned by K3s's role and closed to everybody else."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer

_LOOK = """
select json_build_object(
    'owner', pg_get_userbyid(datdba),
    'open', exists (select from aclexplode(coalesce(datacl, acldefault('d', datdba)))
                    where grantee = 0))
from pg_database where datname = :'name';
"""

# `create database` cannot run in a transaction.  template0 with the C locale: the bytes sort as
# kine sorts them, whatever locale the cluster was made with.
_MEND = """
select not exists (select from pg_database where datname = :'name') as missing \\gset
\\if :missing
create database :"name" owner :"owner" template template0 encoding 'UTF8'
    lc_collate 'C' lc_ctype 'C';
\\endif
alter database :"name" owner to :"owner";
revoke all on database :"name" from public;
"""


@dataclass(frozen=True)
class DatabaseState:
    """`public`: whether every role may still connect."""

    exists: bool = False
    owner: str = ""
    public: bool = False


@dataclass(frozen=True)
class Database:
    """A database of that owner.  Ownership, not grants: from PostgreSQL 15 on, `grant all on
    database` does not allow a table to be created."""

    psql: Psql
    name: str
    owner: str

    def probe(self) -> Probe[DatabaseState]:
        return Probe(AS_POSTGRES + self.psql.run(_LOOK, name=self.name), _parse)

    def diff(self, now: DatabaseState) -> Change[DatabaseState] | Problem | None:
        want = DatabaseState(exists=True, owner=self.owner, public=False)
        if now == want:
            return None
        if not now.exists:
            return Change(f"create database {self.name} owned by {self.owner}", after=want)
        wrong = []
        if now.owner != self.owner:
            wrong.append(f"change its owner from {now.owner} to {self.owner}")
        if now.public:
            wrong.append("close it to other roles")
        return Change(f"database {self.name}: {', '.join(wrong)}", after=want)

    async def apply(self, on: Hands, change: Change[DatabaseState]) -> None:
        await on.sh(AS_POSTGRES + self.psql.run(_MEND, name=self.name, owner=self.owner))


def _parse(out: bytes) -> DatabaseState:
    found = answer(out)
    if found is None:
        return DatabaseState()
    return DatabaseState(exists=True, owner=found["owner"], public=found["open"])
