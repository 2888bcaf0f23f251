"""Proofs that the datastore is what K3s will need, from each server, before K3s is installed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client
from k3s_tui.procedure.leaves import FILES
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources.deployed_pair import DeployedPair
from k3s_tui.resources.k3s.config import DatastoreFiles
from k3s_tui.resources.postgres.login import Login, OwnPair
from k3s_tui.resources.postgres.proof import DsnProof

if TYPE_CHECKING:
    from k3s_tui.pki.authority import KeyPair


def login(site: Site, name: str, *, user: str = "", authority: Authority | None = None) -> Login:
    """The login that K3s on this server will do, with a certificate of a few minutes' life.

    Where none can be signed here, the server itself speaks TLS, by its own key.  `user` (the
    certificate's CN, not the role) and `authority` make it wrong on purpose.
    """
    wanted = site.profile.datastore
    signing = authority or site.authority
    return Login(
        hostname=wanted.hostname,
        port=wanted.port,
        database=wanted.database,
        user=wanted.user,
        password=site.credentials.datastore_password,
        ca_pem=site.datastore_ca,
        issue=_short_lived(signing, user or wanted.user, name) if signing.signs else None,
        own=None if signing.signs else OwnPair(FILES.ca, FILES.certificate, FILES.key),
    )


def datastore_login(site: Site, name: str, needs: Steps) -> Step[Any]:
    """Name, chain, CN, password, pg_hba line and privileges, from this server's own address."""
    return Step(
        f"{name}/servers/datastore-login",
        host(name),
        DsnProof(login(site, name)),
        needs,
        within=60,
    )


def deployed_pair(site: Site, name: str, files: DatastoreFiles, needs: Steps) -> Step[Any]:
    """The files that K3s will really use: the login above has its own certificate."""
    wanted = site.profile.datastore
    return Step(
        f"{name}/servers/datastore-files",
        host(name),
        DeployedPair(
            *(files.ca, files.certificate, files.key, wanted.hostname, wanted.port),
            signer=site.authority.ca_pem if site.kept else "",
        ),
        needs,
        within=60,
    )


def _short_lived(authority: Authority, user: str, name: str) -> Callable[[], KeyPair]:
    return lambda: authority.issue_short_lived(datastore_client(user, name), datetime.now(UTC))
