"""Proofs of a PostgreSQL that is somebody else's: nobody here can look into its log or its rules.

What a failure says comes from the client alone; what to try is for whoever runs that database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres.diagnosis import Kind
from k3s_tui.resources.postgres.login import Login, Outcome, log_in
from k3s_tui.resources.postgres.ownership import OwnershipState, objection
from k3s_tui.resources.postgres.proof import DsnProof, Refusal

_STATES: dict[Kind, str] = {
    "password": "28P01",
    "rules": "28000",
    "rules-plain": "28000",
    "no-certificate": "28000",
    "role": "28000",
    "database": "3D000",
    "privileges": "42501",
}
"""libpq does not pass on the SQLSTATE of a connection that was refused; PostgreSQL has one for
each of these."""

CAUSES: dict[Kind, str] = {
    "unresolved": "is datastore.hostname right? Where no DNS knows it, give datastore.address",
    "refused": "usual causes: another port; the database is stopped, or listens elsewhere",
    "timeout": "usual causes: the database's firewall or security group does not list this server;"
    " it is in another network",
    "no-tls": "TLS has to be switched on there (ssl = on)",
    "untrusted": "datastore.ca must be the CA that signed the database's certificate",
    "untrusted-issuer": "datastore.ca must be the CA that signed the database's certificate; has"
    " the operator changed CAs, or is this another region's?",
    "untrusted-expired": "the database's operator has to renew it",
    "hostname": "datastore.hostname must be a name, or an IP address, that the certificate holds: a"
    " name that only points there does not do",
    "no-certificate": "its rules want a client certificate: give datastore.client-certificate and"
    " client-key",
    "client-ca": "datastore.client-certificate must be signed by the CA that the database trusts",
    "client-expired": "give a client certificate that is valid",
    "client-cn": "with clientcert=verify-full its CN must be the user, to the letter",
    "password": "usual causes: another password (k3s-tui secret set PROFILE datastore.password);"
    " no such user; a certificate whose CN is not the user",
    "rules": "usual causes: this server's address is not in its rules; another user or database",
    "role": "the database's operator has to create it, or let it log in",
    "database": "the database's operator has to create it, owned by the user",
    "privileges": "the user must own the database, or: grant usage, create on schema public",
    "busy": "raise max_connections, or end what holds them; a pooler in between is no help to K3s",
}


@dataclass(frozen=True)
class ElsewhereProof:
    """K3s's login works from this host, and what is in the database is this cluster's or nobody's.

    `token` is the servers': the rows are compared with it.
    """

    login: Login
    token: Secret

    def probe(self) -> Probe[Outcome]:
        return DsnProof(replace(self.login, look=True)).probe()

    def diff(self, now: Outcome) -> Change[Outcome] | Problem | None:
        found = DsnProof(self.login).diff(now)
        if isinstance(found, Problem):
            return told(now, found)
        if not now.rows:
            return None
        rows = json.loads(now.rows)
        state = OwnershipState("read", tuple(rows["bootstrap"].items()), rows["registry"])
        return objection(state, self.login.database, self.token)


@dataclass(frozen=True)
class RefusalThere:
    """As `Refusal`, where the rules are not ours to set: what is let in is a warning."""

    refusal: Refusal

    def probe(self) -> Probe[Outcome]:
        return Probe(self._ask, Outcome.decode)

    async def _ask(self, on: Hands) -> bytes:
        return (await log_in(on, self.refusal.wrong())).encode()

    def diff(self, now: Outcome) -> Change[Outcome] | Problem | None:
        found = self.refusal.diff(now)
        if not isinstance(found, Problem) or found.warning:
            return found
        if self.refusal.let_in(now):
            return Problem(
                f"not enforced by the datastore's rules: {found.text}",
                "its operator can change that, k3s-tui cannot; for PostgreSQL: hostssl lines with"
                " scram-sha-256, and clientcert=verify-full where the servers have certificates",
                warning=True,
            )
        return replace(told(now, found), warning=True)


def told(now: Outcome, problem: Problem) -> Problem:
    """With the SQLSTATE, and with causes that its operator can do something about."""
    state = now.sqlstate or _STATES.get(now.kind, "")
    text = f"{problem.text} (SQLSTATE {state})" if state else problem.text
    return Problem(text, CAUSES.get(now.kind, problem.hint), warning=problem.warning)
