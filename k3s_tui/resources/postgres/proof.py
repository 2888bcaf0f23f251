"""Proofs from each K3s server: the login that must work, and those that must not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres.diagnosis import Kind, explain
from k3s_tui.resources.postgres.login import Login, Outcome, log_in


@dataclass(frozen=True)
class DsnProof:
    """K3s's login works from this host: name, TLS, certificate, password, rules, privileges."""

    login: Login

    def probe(self) -> Probe[Outcome]:
        return Probe(self._ask, Outcome.decode)

    async def _ask(self, on: Hands) -> bytes:
        outcome = await log_in(on, self.login)
        if outcome.kind == "password" and self._other_name():
            outcome = replace(outcome, kind="client-cn")
        return outcome.encode()

    def diff(self, now: Outcome) -> Change[Outcome] | Problem | None:
        if now.kind == "ok":
            return None
        return untested(now) or _explained(now, self.login)

    def _other_name(self) -> bool:
        """Whether the certificate's CN is not the user: the client is never told."""
        if self.login.issue is None:
            return False
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        certificate = x509.load_pem_x509_certificate(self.login.issue().certificate_pem.encode())
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [name.value for name in names] != [self.login.user]


RefusalKind = Literal["no-certificate", "wrong-cn", "other-ca", "plain-tcp", "wrong-password"]

_REASONS: dict[RefusalKind, tuple[Kind, ...]] = {
    "no-certificate": ("no-certificate",),
    # PostgreSQL says the same for both: the proof of each is that all else was right.
    "wrong-cn": ("password",),
    "wrong-password": ("password",),
    "other-ca": ("client-ca",),
    "plain-tcp": ("rules-plain",),
}
NAMES: dict[RefusalKind, str] = {
    "no-certificate": "a login without a client certificate",
    "wrong-cn": "a login with a certificate for another name",
    "other-ca": "a login with a certificate of another CA",
    "plain-tcp": "a login over plain TCP",
    "wrong-password": "a login with a wrong password",
}


@dataclass(frozen=True)
class Refusal:
    """A login that is wrong in one thing is refused, and for that thing.

    `login` is the right one, except that for `wrong-cn` and `other-ca` its `issue` makes the
    wrong certificate; the other kinds are made wrong here.
    """

    kind: RefusalKind
    login: Login

    def probe(self) -> Probe[Outcome]:
        return Probe(self._ask, Outcome.decode)

    async def _ask(self, on: Hands) -> bytes:
        return (await log_in(on, self.wrong())).encode()

    def wrong(self) -> Login:
        """The login that has to fail."""
        if self.kind == "no-certificate":
            return replace(self.login, issue=None, own=None)
        if self.kind == "plain-tcp":
            # Whoever sits in between could ask for it in clear text: the real one stays here.
            made_up = Secret("none over plain TCP")
            return replace(self.login, tls=False, own=None, password=made_up)
        if self.kind == "wrong-password":
            return replace(self.login, password=Secret(self.login.password.reveal() + "-not"))
        return self.login

    def diff(self, now: Outcome) -> Change[Outcome] | Problem | None:
        if now.kind in _REASONS[self.kind]:
            return None
        name = NAMES[self.kind]
        if self.let_in(now):
            return Problem(
                f"{name} was let in",
                "the first line of pg_hba.conf that matches decides: table pg_hba_file_rules",
            )
        if problem := untested(now):
            return problem
        problem = _explained(now, self.login)
        return Problem(f"{name} failed, but not for that reason: {problem.text}", problem.hint)

    def let_in(self, now: Outcome) -> bool:
        """Whether the rules do not refuse it; over plain TCP, as far as the password."""
        reached = now.kind == "password" and self.kind == "plain-tcp"
        return reached or now.kind in ("ok", "privileges")


@dataclass(frozen=True)
class Unproved:
    """What nobody could try is said, not left out."""

    text: str
    hint: str

    def probe(self) -> Probe[None]:
        return Probe(":", lambda _: None)

    def diff(self, now: None) -> Problem:
        return Problem(self.text, self.hint, warning=True)


def untested(now: Outcome) -> Problem | None:
    """Where no login could be tried at all, that is said, and nothing else."""
    if now.kind != "forwarding":
        return None
    return Problem(
        "the datastore could not be tried from here, because SSH on this host forwards no port"
        f" ({now.said}): only this host's own files were checked",
        "allow it for the proof (AllowTcpForwarding yes in sshd_config), or watch K3s's first"
        " start",
        warning=True,
    )


def _explained(now: Outcome, login: Login) -> Problem:
    return explain(
        now.kind,
        now.said,
        where=login.where,
        hostname=login.hostname,
        port=login.port,
        user=login.user,
        database=login.database,
    )
