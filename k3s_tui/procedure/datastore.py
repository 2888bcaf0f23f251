"""Chapter: PostgreSQL, for the servers and nobody else, over mutual TLS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure import leaves
from k3s_tui.procedure.leaves import TLS
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources.file import File
from k3s_tui.resources.package import Packages
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.postgres.cluster import Cluster, SupportedVersion
from k3s_tui.resources.postgres.database import Database
from k3s_tui.resources.postgres.ownership import Ownership
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.role import Role
from k3s_tui.resources.postgres.settings import Settings


@dataclass(frozen=True)
class Datastore:
    """`ready` is what a server's login rests on."""

    steps: Steps
    ready: Steps


def chapter(site: Site) -> Datastore:
    wanted = site.profile.datastore
    name = site.profile.datastore_host
    here = host(name)
    family = site.family(name)
    psql = Psql(port=wanted.port)

    running = Cluster(psql, family.postgres.initdb, family.postgres.unit)
    ours = Ownership(psql, wanted.database, site.credentials.token)
    leaf = leaves.of_datastore(site, f"{family.postgres.user}:{family.postgres.user}")
    before = (
        *leaves.preflight(name, leaf),
        Step(f"{name}/preflight/postgresql", here, SupportedVersion(running)),
        Step(f"{name}/preflight/ownership", here, ours),
    )
    packages = Step(
        f"{name}/datastore/packages",
        here,
        Packages(family.packages_for("postgresql", "openssl"), family),
        within=900,
    )
    cluster = Step(f"{name}/datastore/cluster", here, running, (packages,))
    # Asked again: a cluster that did not run had no answer before.  Nothing in it is touched until
    # it has one.
    still_ours = Step(f"{name}/datastore/ownership", here, ours, (cluster,), within=15)
    role = Step(
        f"{name}/datastore/role",
        here,
        Role(psql, wanted.user, site.credentials.datastore_password),
        (cluster, still_ours),
    )
    database = Step(
        f"{name}/datastore/database",
        here,
        Database(psql, wanted.database, wanted.user),
        (role, still_ours),
    )
    ca = Step(
        f"{name}/datastore/ca",
        here,
        File(TLS.ca, site.authority.ca_pem),
    )
    certificate = Step(
        f"{name}/datastore/certificate",
        here,
        leaf,
        (packages, ca),
    )
    settings: Step[Any] = Step(
        f"{name}/datastore/settings",
        here,
        lambda seen: Settings(
            psql,
            config_file=seen[cluster].config_file,
            data_directory=seen[cluster].data_directory,
            tls=TLS,
            addresses=("localhost", *site.addresses(name)),
            restart=f"systemctl restart {seen[cluster].unit}",
            inputs=f"{seen[certificate].fingerprint} {seen[ca].digest}",
            unit=seen[cluster].unit,
        ),
        (cluster, still_ours, ca, certificate),
    )
    access: Step[Any] = Step(
        f"{name}/datastore/access",
        here,
        lambda seen: Access(
            psql,
            hba_file=seen[cluster].hba_file,
            database=wanted.database,
            role=wanted.user,
            servers=tuple(site.source(server, name) for server in site.profile.servers),
        ),
        (cluster, role, database, settings),
    )
    own = (packages, cluster, still_ours, role, database, ca, certificate, settings, access)
    return Datastore((*before, *own), ready=(role, database, still_ours, settings, access))
