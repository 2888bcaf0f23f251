"""Chapter: PostgreSQL, for the servers and nobody else, over mutual TLS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.families import Role as Purpose
from k3s_tui.procedure import leaves
from k3s_tui.procedure.adoption import OWN_CLUSTER
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

    running = _cluster(site, psql)
    adopted = site.adoption
    tls = adopted.tls(TLS) if adopted else TLS
    ours = Ownership(psql, wanted.database, site.credentials.token)
    leaf = leaves.of_datastore(site, f"{family.postgres.user}:{family.postgres.user}")
    before = (
        *(leaves.preflight(name, leaf) if not site.kept else ()),
        Step(f"{name}/preflight/postgresql", here, SupportedVersion(running)),
        Step(f"{name}/preflight/ownership", here, ours),
    )
    packages = Step(
        f"{name}/datastore/packages",
        here,
        Packages(family.packages_for(*_packages(site)), family),
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
        File(
            TLS.ca, adopted.client_cas(site.authority.ca_pem) if adopted else site.authority.ca_pem
        ),
    )
    # One that stays is renewed by those who made it.
    certificate = (
        None if site.kept else Step(f"{name}/datastore/certificate", here, leaf, (packages, ca))
    )
    issued: Steps = (certificate,) if certificate else ()
    settings: Step[Any] = Step(
        f"{name}/datastore/settings",
        here,
        lambda seen: Settings(
            psql,
            config_file=seen[cluster].config_file,
            data_directory=seen[cluster].data_directory,
            tls=tls,
            addresses=("localhost", *site.addresses(name)),
            restart=f"systemctl restart {seen[cluster].unit}",
            inputs=f"{seen[certificate].fingerprint if certificate else ''} {seen[ca].digest}",
            unit=seen[cluster].unit,
            leave=adopted.left if adopted else frozenset(),
            unseen=adopted is None,
        ),
        (cluster, still_ours, ca, *issued),
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
    own: Steps = (packages, cluster, still_ours, role, database, ca, *issued, settings, access)
    return Datastore((*before, *own), ready=(role, database, still_ours, settings, access))


def _cluster(site: Site, psql: Psql) -> Cluster:
    layout = site.family(site.profile.datastore_host).postgres
    if site.profile.datastore.cluster == "adopt":
        return Cluster(psql, layout.initdb, layout.unit)
    arguments = f"set -- {OWN_CLUSTER} {psql.port}\n"
    return Cluster(
        psql,
        arguments + layout.second,
        arguments + layout.second_unit,
        data_folders=(f"/var/lib/postgresql/*/{OWN_CLUSTER}",),
    )


def _packages(site: Site) -> tuple[Purpose, ...]:
    """PostgreSQL only where there is none: its package may be a later version than what runs."""
    there = site.facts[site.profile.datastore_host].postgres_version
    foreign = site.adoption is not None and bool(site.adoption.standing.databases)
    if foreign or (site.profile.datastore.cluster == "own" and there):
        return ("openssl",)
    return ("postgresql", "openssl")
