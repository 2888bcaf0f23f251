"""A database that is somebody else's: proved from every server, and never changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from k3s_tui.core.contract import Check, Step
from k3s_tui.core.secret import Secret
from k3s_tui.engine.graph import Steps
from k3s_tui.pki.authority import Authority, KeyPair
from k3s_tui.pki.profiles import datastore_client
from k3s_tui.procedure.database_files import DatabaseFiles
from k3s_tui.procedure.datastore_client import Client, same
from k3s_tui.procedure.hosts_entry import named
from k3s_tui.procedure.site import Site, host
from k3s_tui.profile.model import Profile
from k3s_tui.resources.file import File
from k3s_tui.resources.k3s import config
from k3s_tui.resources.mysql.proof import MysqlProof, MysqlRefusal
from k3s_tui.resources.postgres.elsewhere import ElsewhereProof, RefusalThere
from k3s_tui.resources.postgres.login import Login
from k3s_tui.resources.postgres.proof import Refusal, RefusalKind

FOLDER = "/etc/k3s-tui/datastore"
CA = f"{FOLDER}/ca.crt"
CERTIFICATE = f"{FOLDER}/client.crt"
KEY = f"{FOLDER}/client.key"


def client(site: Site, name: str) -> Client:
    """The login that K3s will do, before anything else; the files, and a name in /etc/hosts where
    no DNS knows it.

    Whatever refuses the login refuses the run while no host was touched: the name of a database
    that is in no DNS is not needed for that, since its address is known.  Once the name is there
    the login is tried by it.
    """
    here = host(name)
    files = site.database_files
    guard: Step[Any] = Step(f"{name}/preflight/datastore-login", here, _proof(site), within=60)
    entry = named(site, name)
    placed: list[Step[Any]] = [
        Step(f"{name}/servers/datastore-ca", here, File(CA, files.ca_pem, folder_mode="0700"))
    ]
    if files.pair is not None:
        placed += (
            Step(
                f"{name}/servers/certificate",
                here,
                File(CERTIFICATE, files.pair.certificate_pem, folder_mode="0700"),
            ),
            Step(
                f"{name}/servers/datastore-key",
                here,
                File(KEY, files.pair.key, mode="0600", folder_mode="0700"),
            ),
        )
    proof: Step[Any] = Step(
        f"{name}/servers/datastore-login", here, _proof(site, by_name=True), entry, within=60
    )
    return Client(
        (guard, *entry, *placed, *((proof,) if site.has_hosts_entry else ())),
        config.DatastoreFiles(CA, CERTIFICATE, KEY) if files.pair else config.DatastoreFiles(CA),
        endpoint(site),
        lambda seen: tuple(seen[step].digest for step in placed),
        same(site.credentials.token),
    )


def verification(site: Site) -> Steps:
    """The login from each server, and what the database's rules refuse, as far as they do."""
    return tuple(step for name in site.profile.servers for step in _proofs(site, name))


def endpoint(site: Site) -> Secret:
    wanted = site.profile.datastore
    make = config.mysql_endpoint if wanted.engine == "mysql" else config.datastore_endpoint
    return make(
        wanted.user,
        site.credentials.datastore_password,
        wanted.hostname,
        wanted.port,
        wanted.database,
    )


def _proof(site: Site, *, by_name: bool = False) -> Check[Any]:
    proof = MysqlProof if site.profile.datastore.engine == "mysql" else ElsewhereProof
    return proof(_login(site, by_name=by_name), site.credentials.token)


def _proofs(site: Site, name: str) -> Steps:
    checks: dict[str, Check[Any]] = {"datastore-login": _proof(site, by_name=True)}
    refused = MysqlRefusal if site.profile.datastore.engine == "mysql" else RefusalThere
    checks |= {f"refuses-{refusal.kind}": refused(refusal) for refusal in _refusals(site, name)}
    return tuple(
        Step(f"{name}/verification/{what}", host(name), check, within=30)
        for what, check in checks.items()
    )


def _refusals(site: Site, name: str) -> tuple[Refusal, ...]:
    """A certificate for another name cannot be tried: only the database's own CA could issue it.

    The first server alone tries a wrong password: databases of others may count such logins, and
    lock the user that K3s is.  Whether a password is looked at is no matter of where one comes
    from, as the other refusals are.
    """
    right = _login(site, by_name=True)
    kinds: tuple[RefusalKind, ...] = ("plain-tcp",)
    if name == next(iter(site.profile.servers)):
        kinds += ("wrong-password",)
    if site.database_files.pair is None:
        return tuple(Refusal(kind, right) for kind in kinds)
    stranger = Authority.create("another CA, for a proof", 1, datetime.now(UTC))

    def of_another() -> KeyPair:
        leaf = datastore_client(site.profile.datastore.user, name)
        return stranger.issue_short_lived(leaf, datetime.now(UTC))

    return (
        Refusal("no-certificate", right),
        Refusal("other-ca", replace(right, issue=of_another)),
        *(Refusal(kind, right) for kind in kinds),
    )


def _login(site: Site, *, by_name: bool) -> Login:
    password = site.credentials.datastore_password
    login = login_by(site.profile, site.database_files, password)
    return replace(login, address="") if by_name else login


def login_by(profile: Profile, files: DatabaseFiles, password: Secret) -> Login:
    """The login that K3s will do, with the certificate that the database's operator gave.

    It needs no entry in /etc/hosts: with an address it goes straight there.
    """
    wanted = profile.datastore
    pair = files.pair
    return Login(
        hostname=wanted.hostname,
        port=wanted.port,
        database=wanted.database,
        user=wanted.user,
        password=password,
        ca_pem=files.ca_pem,
        issue=(lambda: pair) if pair else None,
        address=wanted.address or "",
    )
