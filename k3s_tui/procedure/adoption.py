"""A PostgreSQL that was there before us: what of it stays, and what it must not be used for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from k3s_tui.core.contract import Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.transport import Transport
from k3s_tui.pki import adopt
from k3s_tui.pki.adopt import Kept, Unfit
from k3s_tui.profile.model import Profile
from k3s_tui.resources.postgres import listen, standing, taken
from k3s_tui.resources.postgres.cluster import DATA_FOLDERS
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.settings import SNAKEOIL
from k3s_tui.resources.postgres.settings_script import Tls
from k3s_tui.resources.postgres.standing import Silent, Standing, Why

OWN_CLUSTER = "k3s"
"""The name of a second cluster."""

_OWN_FOLDERS = (f"/var/lib/postgresql/*/{OWN_CLUSTER}",)

_SECOND = 'cluster = "own" and port = 5433 in [datastore] make a second one'
_ANOTHER_HOST = "name another host as the datastore"

_SILENT: dict[Why, tuple[str, str]] = {
    "starting": ("its PostgreSQL is starting up", "try again once it takes connections"),
    "unreachable": (
        "its PostgreSQL runs in {where}, and has no Unix socket that the user postgres could reach",
        "unix_socket_directories = '/run/postgresql' in its postgresql.conf, and a restart",
    ),
    "stopped": (
        "nobody answers on port {port}, and there is a PostgreSQL of others in {where}: what it is"
        " used for can be asked only while it runs",
        "start it, or set datastore.port to the port that it has",
    ),
}

_SECONDS = 60
"""How long a server that runs may take to say what it is used for."""

_DECIDED_BY_OTHERS = frozenset({"ssl_min_protocol_version", "password_encryption"})
_OF_EVERYBODY = frozenset({"password_encryption", "lc_messages"})
"""What K3s's own role can have by itself, so that it stays for the others as it is."""


@dataclass(frozen=True)
class Adoption:
    """`certificate` is what its own was found to be; None: it has none that anybody relies on.

    `unanswered`: something runs there, and did not say what it is used for.
    """

    standing: Standing
    certificate: Kept | Unfit | None = None
    unanswered: Problem | None = None

    @property
    def left(self) -> frozenset[str]:
        """Settings that stay as they are."""
        left = _DECIDED_BY_OTHERS & self.standing.said.keys()
        if self.standing.databases:
            left |= _OF_EVERYBODY
        return left | {"ssl_cert_file", "ssl_key_file"} if self.certificate else left

    def tls(self, ours: Tls) -> Tls:
        """The files that PostgreSQL uses: its own pair, if that stays, and our bundle of CAs."""
        if not isinstance(self.certificate, Kept):
            return ours
        folder = self.standing.data_directory
        return Tls(
            certificate=self.standing.path("ssl_cert_file") or f"{folder}/server.crt",
            key=self.standing.path("ssl_key_file") or f"{folder}/server.key",
            ca=ours.ca,
        )

    def client_cas(self, ours: str) -> str:
        """The CAs (PEM) that may sign clients: theirs, and ours."""
        return adopt.bundle(self.standing.ca_pem, ours) if self.standing.ca_pem else ours


async def look_at(transport: Transport, profile: Profile, given_ca: str) -> Adoption | None:
    """What is already on the datastore's host, at the profile's port.  Raises Lost.

    One that does not answer is no error here: it is told with what stops the other hosts.
    """
    wanted = profile.datastore
    try:
        async with asyncio.timeout(_SECONDS):
            said = await transport.exec(
                standing.look(
                    Psql(port=wanted.port), wanted.database, wanted.user, data_folders(profile)
                )
            )
    except TimeoutError:
        return _unanswered(profile, f"did not say within {_SECONDS} s what it is used for")
    if said.status:
        last = sanitize(said.err.decode(errors="replace").strip().rpartition("\n")[2])
        return _unanswered(profile, f"did not say what it is used for: {last}")
    try:
        found = standing.parse(said.out)
    except (ValueError, KeyError, TypeError):
        return _unanswered(profile, "said something that is not understood")
    if isinstance(found, Silent):
        text, hint = _SILENT[found.why]
        said_where = text.format(where=found.where, port=wanted.port)
        return Adoption(Standing(found.where), unanswered=Problem(said_where, hint))
    return judged(profile, found, given_ca, datetime.now(UTC)) if found else None


def data_folders(profile: Profile) -> tuple[str, ...]:
    """Where the cluster that K3s is to use may lie: sh patterns."""
    return _OWN_FOLDERS if profile.datastore.cluster == "own" else DATA_FOLDERS


def _unanswered(profile: Profile, how: str) -> Adoption:
    hint = f"as postgres: psql -p {profile.datastore.port} -c 'select 1'"
    return Adoption(Standing(""), unanswered=Problem(f"its PostgreSQL runs, but {how}", hint))


def judged(profile: Profile, found: Standing, given_ca: str, now: datetime) -> Adoption:
    """What its certificate is good for.  `given_ca` is datastore.ca (PEM), '' without."""
    shown = found.said.get("ssl_cert_file", "")
    if not found.serves_tls or shown == SNAKEOIL:
        return Adoption(found)
    certificate = adopt.judged(
        found.certificate_pem,
        profile.datastore.hostname,
        found.ca_pem,
        now,
        given_ca,
        profile.pki.datastore_san,
    )
    return Adoption(found, certificate)


def objection(
    profile: Profile, found: Adoption | None, given_ca: str, second: bool = True
) -> Problem | None:
    """Why K3s must not use this PostgreSQL as it is.  `second`: it can have another one there."""
    wanted = profile.datastore
    if found is not None and found.unanswered is not None:
        return found.unanswered
    if (found is None or found.certificate is None) and given_ca:
        return Problem(
            "datastore.ca is given, and no PostgreSQL runs there that shows a certificate of"
            " its own",
            "leave datastore.ca out, or start that PostgreSQL",
        )
    if found is None:
        return None
    there = found.standing
    if wanted.cluster == "own" and not there.data_directory.endswith(f"/{OWN_CLUSTER}"):
        return Problem(
            f"port {wanted.port} belongs to another PostgreSQL cluster, {there.data_directory}",
            "give datastore.port a port that nothing uses",
        )
    if there.serves_tls and there.ca_unread:
        return _or_another(_about_client_cas(there), second)
    if isinstance(found.certificate, Unfit):
        return _or_another(
            _about_certificate(wanted.hostname, found.standing, found.certificate), second
        )
    for name in ("ssl_crl_file", "ssl_crl_dir"):
        if there.said.get(name):
            return Problem(
                f"it checks clients against a revocation list ({name} = {there.said[name]}), which"
                " refuses every certificate of another CA without a list",
                _SECOND if second else _ANOTHER_HOST,
            )
    # Of an installed cluster that the profile now wants elsewhere, its servers say so themselves.
    problem = taken.objection(there, wanted.database, wanted.user)
    return _or_another(problem, second) if problem else None


def _or_another(problem: Problem, second: bool) -> Problem:
    instead = f"leave that cluster to its users: {_SECOND}" if second else _ANOTHER_HOST
    return replace(problem, hint=f"{problem.hint}; or {instead}")


def restart(
    found: Adoption | None, addresses: tuple[str, ...], allowed: bool, second: bool = True
) -> Problem | None:
    """A restart under sessions of others: they are named, and it wants to be allowed.

    A PostgreSQL with databases of others does not restart without a word, whoever is connected.
    """
    if found is None or listen.covers(found.standing.listening, addresses):
        return None
    told = f"PostgreSQL has to restart, to listen on {', '.join(addresses)}"
    sessions, databases = found.standing.sessions, found.standing.databases
    if not sessions and not databases:
        return None
    if not sessions:
        told += f"; it serves {', '.join(databases)}, where nobody is connected now"
        unless = "they were allowed to end" if allowed else "unless --allow-restart, they stop it"
        return Problem(told, f"sessions that begin before that: {unless}", warning=True)
    told += f"; that ends {'; '.join(map(str, sessions))}"
    if allowed:
        return Problem(told, "they were allowed to end", warning=True)
    problem = Problem(told, "k3s-tui apply --allow-restart, when they may end")
    return _or_another(problem, second)


def _about_client_cas(there: Standing) -> Problem:
    path = sanitize(there.path("ssl_ca_file"))
    return Problem(
        f"{path}, by which it knows its clients (ssl_ca_file), {there.ca_unread}: what K3s needs"
        " in its place would lock some of them out",
        f"mend {path}, or set ssl_ca_file = '' where no client has a certificate",
    )


def _about_certificate(hostname: str, there: Standing, unfit: Unfit) -> Problem:
    path = there.path("ssl_cert_file") or f"{there.data_directory}/server.crt"
    if unfit.why == "ca-unknown":
        hint = 'give its CA\'s certificates: ca = "FILE.pem" in [datastore]'
    else:
        hint = f"have its operator renew it for {hostname}"
    return Problem(f"its certificate {path} {unfit.text}", hint)
