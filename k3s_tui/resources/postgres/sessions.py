"""Who uses the datastore right now: the K3s servers, each of them, all over TLS."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from k3s_tui.core.contract import Change, Probe, Problem
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer

# A session over the Unix socket (a backup, an administrator) never touches the network.
_LOOK = """
select coalesce(json_agg(distinct jsonb_build_object(
    'role', a.usename, 'address', host(a.client_addr), 'tls', coalesce(s.ssl, false),
    'version', coalesce(s.version, ''), 'client', coalesce(s.client_dn, ''))), '[]')
from pg_stat_activity a left join pg_stat_ssl s using (pid)
where a.datname = :'name' and a.backend_type = 'client backend' and a.client_addr is not null;
"""


@dataclass(frozen=True)
class Session:
    """`client` is the distinguished name of the client's certificate, '' without one."""

    role: str
    address: str
    tls: bool
    version: str
    client: str


@dataclass(frozen=True)
class SessionsState:
    """The different kinds of network sessions; None when PostgreSQL did not answer."""

    sessions: tuple[Session, ...] | None = None


@dataclass(frozen=True)
class Sessions:
    """The database has sessions from each of these addresses, and only those, only over TLS."""

    psql: Psql
    database: str
    server_addresses: tuple[str, ...]

    def probe(self) -> Probe[SessionsState]:
        return Probe(AS_POSTGRES + self.psql.run(_LOOK, name=self.database), _parse)

    def diff(self, now: SessionsState) -> Change[SessionsState] | Problem | None:
        if now.sessions is None:
            return Problem(
                "PostgreSQL did not say who is connected", "as postgres: psql -c 'select 1'"
            )
        servers = {str(ipaddress.ip_address(address)) for address in self.server_addresses}
        for session in now.sessions:
            who = f"{session.role} from {session.address} uses database {self.database}"
            if not session.tls:
                return Problem(
                    f"{who} without TLS",
                    "end the session (pg_terminate_backend); the rules in pg_hba.conf let no new"
                    " one in",
                )
            if session.address not in servers:
                return Problem(
                    f"{who}, and is no K3s server of this profile",
                    "end the session (pg_terminate_backend), or add the server to the profile",
                )
        if missing := sorted(servers - {session.address for session in now.sessions}):
            return Problem(
                f"no session of {', '.join(missing)} in database {self.database}",
                "look at that server's K3s: journalctl -u k3s | grep -i database",
            )
        return None


def _parse(out: bytes) -> SessionsState:
    found = answer(out)
    if found is None:
        return SessionsState()
    return SessionsState(tuple(Session(**session) for session in found))
