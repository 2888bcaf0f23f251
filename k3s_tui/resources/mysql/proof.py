"""Proofs of a MySQL or MariaDB that is somebody else's, from each K3s server."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.mysql.login import log_in
from k3s_tui.resources.postgres.diagnosis import Kind
from k3s_tui.resources.postgres.elsewhere import CAUSES
from k3s_tui.resources.postgres.login import Login, Outcome
from k3s_tui.resources.postgres.ownership import OwnershipState, objection
from k3s_tui.resources.postgres.proof import NAMES, Refusal, untested

_TEXTS: dict[Kind, str] = {
    "unresolved": "the name {hostname} does not resolve on this host",
    "refused": "{where} refuses connections",
    "timeout": "{where} does not answer",
    "closed": "{where} closed the connection without a word",
    "no-tls": "the database at {where} has TLS off",
    "untrusted": "the certificate of {where} is not trusted",
    "untrusted-issuer": "the certificate of {where} comes from another CA",
    "untrusted-expired": "the certificate of {where} has expired",
    "untrusted-early": "the certificate of {where} is not valid yet",
    "hostname": "the certificate of {where} is not for the name {hostname}",
    "client-ca": "the database at {where} does not trust the CA of the client certificate",
    "client-expired": "the client certificate has expired",
    "client-certificate": "the database at {where} does not accept the client certificate",
    "password": "the database does not let {user} in",
    "rules": "the database does not take connections from this host",
    "rules-plain": "the database takes no connections without TLS",
    "database": "there is no database {database}",
    "privileges": "{user} may not do all that K3s does in database {database}",
    "busy": "the database takes no more connections now",
}
_CAUSES: dict[Kind, str] = {
    "no-tls": "TLS has to be switched on there: ssl_cert, ssl_key",
    "password": "usual causes: another password (k3s-tui secret set PROFILE datastore.password);"
    " no such user for this host ('user'@'host'); it demands a client certificate (REQUIRE X509)",
    "rules": "usual causes: no user for this host's address; the host was blocked after errors:"
    " FLUSH HOSTS",
    "database": "the database's operator has to create it",
    "privileges": "grant create, index, select, insert, update, delete on it to the user",
    "client-certificate": "the reason is in the database's log",
    "untrusted-early": "compare the clocks",
    "busy": "raise max_connections, or end what holds them",
}
_REASONS: tuple[Kind, ...] = ("password", "rules", "rules-plain", "client-ca", "client-certificate")
"""It says the same to all: the proof of each is that the right login, wrong in nothing, works."""


@dataclass(frozen=True)
class MysqlProof:
    """K3s's login works from this host, and what is in the database is this cluster's or nobody's.

    `token` is the servers': the rows are compared with it.
    """

    login: Login
    token: Secret

    def probe(self) -> Probe[Outcome]:
        return Probe(self._ask, Outcome.decode)

    async def _ask(self, on: Hands) -> bytes:
        return (await log_in(on, replace(self.login, look=True))).encode()

    def diff(self, now: Outcome) -> Change[Outcome] | Problem | None:
        if now.rows:
            rows = json.loads(now.rows)
            state = OwnershipState("read", tuple(rows["bootstrap"].items()), rows["registry"])
            if found := objection(state, self.login.database, self.token):
                return found
        if now.kind == "ok":
            return None
        if problem := untested(now):
            return problem
        # A role may grant what no list of this user's privileges shows.
        return explained(now, self.login, warning=now.kind == "privileges" and not now.sqlstate)


@dataclass(frozen=True)
class MysqlRefusal:
    """A login that is wrong in one thing is refused; the rules are not ours: if not, a warning."""

    refusal: Refusal

    def probe(self) -> Probe[Outcome]:
        return Probe(self._ask, Outcome.decode)

    async def _ask(self, on: Hands) -> bytes:
        login = self.refusal.wrong()
        if not login.tls:  # never sent so: see `log_in`
            login = replace(login, password=self.refusal.login.password)
        return (await log_in(on, login)).encode()

    def diff(self, now: Outcome) -> Change[Outcome] | Problem | None:
        if now.kind in _REASONS:
            return None
        if problem := untested(now):
            return problem
        name = NAMES[self.refusal.kind]
        if self.refusal.let_in(now):
            return Problem(
                f"not enforced by the datastore's rules: {name} was let in",
                "its operator can change that, k3s-tui cannot: ALTER USER … REQUIRE SSL, or REQUIRE"
                " X509 where the servers have certificates",
                warning=True,
            )
        problem = explained(now, self.refusal.login, warning=True)
        return replace(problem, text=f"{name} failed, but not for that reason: {problem.text}")


def explained(now: Outcome, login: Login, *, warning: bool) -> Problem:
    """A failed login in the operator's words, with the SQLSTATE where there is one."""
    text = _TEXTS.get(now.kind, "the login to the datastore failed").format(
        hostname=login.hostname,
        where=login.where,
        user=login.user,
        database=login.database,
    )
    said = f"{text}: {now.said}" if now.said else text
    state = f" (SQLSTATE {now.sqlstate})" if now.sqlstate else ""
    hint = _CAUSES.get(now.kind) or CAUSES.get(now.kind, "see the database's log")
    return Problem(said + state, hint, warning=warning)
