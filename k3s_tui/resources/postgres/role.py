"""The role that K3s logs in as: it may log in, and nothing beyond its own database."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres import scram
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer

_LOOK = """
select json_build_object(
    'login', rolcanlogin,
    'system', oid = 10,
    'powers', array_remove(array[
        case when rolsuper then 'SUPERUSER' end, case when rolcreatedb then 'CREATEDB' end,
        case when rolcreaterole then 'CREATEROLE' end,
        case when rolreplication then 'REPLICATION' end,
        case when rolbypassrls then 'BYPASSRLS' end], null),
    'limited', rolconnlimit <> -1 or coalesce(rolvaliduntil <> 'infinity', false),
    'messages', exists (select from pg_db_role_setting
        where setrole = pg_authid.oid and setdatabase = 0 and 'lc_messages=C' = any (setconfig)),
    'verifier', coalesce(rolpassword, ''))
from pg_authid where rolname = :'role';
"""

# The verifier is as good as a password for guessing at it offline: no log line may hold it.
_MEND = """
set log_statement = 'none';
set log_min_error_statement = 'panic';
set log_min_duration_statement = -1;
begin;
select not exists (select from pg_authid where rolname = :'role') as missing \\gset
\\if :missing
create role :"role";
\\endif
alter role :"role" with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls
    connection limit -1 valid until 'infinity' password :'verifier';
alter role :"role" set lc_messages = 'C';
commit;
"""


_NEW_PASSWORD = (
    "K3s servers that run keep the connections that they have; for new ones they lack the new"
    " password until their own steps restart them, one after the other"
)
_HALF_WAY = "should the run stop before the last server has restarted, run it again"


@dataclass(frozen=True)
class RoleState:
    """`powers` are attributes beyond logging in; `limited`: it expires, or few may log in.

    `messages`: PostgreSQL's words to it are the untranslated ones.
    """

    exists: bool = False
    login: bool = False
    system: bool = False
    powers: tuple[str, ...] = ()
    limited: bool = False
    messages: bool = False
    verifier: Secret | None = None


@dataclass(frozen=True)
class Role:
    """A login role with this password, stored as a SCRAM verifier."""

    psql: Psql
    name: str
    password: Secret

    def probe(self) -> Probe[RoleState]:
        return Probe(AS_POSTGRES + self.psql.run(_LOOK, role=self.name), _parse)

    def diff(self, now: RoleState) -> Change[RoleState] | Problem | None:
        if not scram.usable(self.password):
            return Problem(
                "the datastore password is empty or has characters that clients disagree about",
                "use printable ASCII only: k3s-tui secret set datastore.password",
            )
        if not now.exists:
            return Change(f"create role {self.name}")
        if now.system:
            return Problem(
                f"{self.name} is PostgreSQL's own superuser, which K3s must not use",
                "choose another name for datastore.user in the profile",
            )
        wrong = [f"take {power} away" for power in now.powers]
        if not now.login:
            wrong.append("let it log in")
        if now.limited:
            wrong.append("lift its expiry and connection limit")
        # What an operation was refused for is told by the words, in every country.
        if not now.messages:
            wrong.append("have its messages in English")
        other = now.verifier is None or not scram.matches(now.verifier, self.password)
        if other:
            wrong.append("set its password")
        if not wrong:
            return None
        told = (_NEW_PASSWORD, _HALF_WAY) if other else ("", "")
        return Change(f"role {self.name}: {', '.join(wrong)}", warning=told[0], hint=told[1])

    async def apply(self, on: Hands, change: Change[RoleState]) -> None:
        verifier = scram.verifier(self.password).reveal()
        await on.sh(AS_POSTGRES + self.psql.run(_MEND, role=self.name, verifier=verifier))


def _parse(out: bytes) -> RoleState:
    found = answer(out)
    if found is None:
        return RoleState()
    return RoleState(
        exists=True,
        login=found["login"],
        system=found["system"],
        powers=tuple(found["powers"]),
        limited=found["limited"],
        messages=found["messages"],
        verifier=Secret(found["verifier"]),
    )
