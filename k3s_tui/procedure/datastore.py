"""Chapter: PostgreSQL, for the servers and nobody else, over mutual TLS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.families import Role as Purpose
from k3s_tui.procedure import leaves
from k3s_tui.procedure.adoption import OWN_CLUSTER, data_folders
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
from k3s_tui.resources.postgres.served_key import ServedKey
from k3s_tui.resources.postgres.settings import Settings
from k3s_tui.resources.postgres.taken import Unseen
from k3s_tui.resources.unmendable import Unmendable


@dataclass(frozen=True)
class Datastore:
    """`answered` is what a PostgreSQL has to have said before anything goes by it; `ready` is what
    a server's login rests on.
    """

    steps: Steps
    answered: Steps
    ready: Steps


def chapter(site: Site) -> Datastore:
    wanted = site.profile.datastore
    name = site.profile.datastore_host
    here = host(name)
    family = site.family(name)
    psql = site.psql

    running = _cluster(site, psql)
    adopted = site.adoption
    ours = Ownership(psql, wanted.database, site.credentials.token)
    leaf = leaves.of_datastore(site, f"{family.postgres.user}:{family.postgres.user}")
    before = (
        *(leaves.preflight(name, leaf) if not site.kept else ()),
        Step(f"{name}/preflight/postgresql", here, SupportedVersion(running)),
        Step(f"{name}/preflight/ownership", here, ours),
        *_standing(site, psql),
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
    answered: Steps = (cluster, still_ours)
    if adopted is None:
        folders = data_folders(site.profile)
        unseen = Unseen(psql, wanted.database, wanted.user, folders)
        answered += (Step(f"{name}/datastore/unseen", here, unseen, (cluster,), within=15),)
    role = Step(
        f"{name}/datastore/role",
        here,
        Role(psql, wanted.user, site.credentials.datastore_password),
        answered,
    )
    database = Step(
        f"{name}/datastore/database",
        here,
        Database(psql, wanted.database, wanted.user),
        (role, still_ours),
    )
    # What stands in it goes by what PostgreSQL said, which it has to have done.
    ca = Step(
        f"{name}/datastore/ca",
        here,
        File(
            TLS.ca, adopted.client_cas(site.authority.ca_pem) if adopted else site.authority.ca_pem
        ),
        answered,
    )
    # One that stays is renewed by those who made it.
    certificate = (
        None if site.kept else Step(f"{name}/datastore/certificate", here, leaf, (packages, ca))
    )
    issued: Steps = (certificate,) if certificate else ()
    settings: Step[Any] = Step(
        f"{name}/datastore/settings",
        here,
        lambda seen: _settings(
            site,
            psql,
            config_file=seen[cluster].config_file,
            data_directory=seen[cluster].data_directory,
            unit=seen[cluster].unit,
            inputs=f"{seen[certificate].fingerprint if certificate else ''} {seen[ca].digest}",
        ),
        (*answered, ca, *issued),
    )
    access: Step[Any] = Step(
        f"{name}/datastore/access",
        here,
        lambda seen: _access(site, psql, seen[cluster].hba_file),
        (cluster, role, database, settings),
    )
    own: Steps = (packages, *answered, role, database, ca, *issued, settings, access)
    ready = (role, database, still_ours, settings, access)
    return Datastore((*before, *own), answered, ready)


def _standing(site: Site, psql: Psql) -> Steps:
    """What we could not mend in a PostgreSQL that runs already is seen before it is touched."""
    if site.adoption is None or site.adoption.unanswered:
        return ()
    name = site.profile.datastore_host
    there = site.adoption.standing
    settings = _settings(
        site, psql, config_file=there.config_file, data_directory=there.data_directory
    )
    access = _access(site, psql, there.hba_file)
    steps: Steps = (
        Step(f"{name}/preflight/settings", host(name), Unmendable(settings)),
        Step(f"{name}/preflight/access", host(name), Unmendable(access)),
    )
    if site.kept:
        key = ServedKey(psql, settings.tls)
        steps += (Step(f"{name}/preflight/server-key", host(name), key),)
    return steps


def _settings(
    site: Site,
    psql: Psql,
    *,
    config_file: str,
    data_directory: str,
    unit: str = "",
    inputs: str = "",
) -> Settings:
    adopted, wanted = site.adoption, site.profile.datastore
    return Settings(
        psql,
        config_file=config_file,
        data_directory=data_directory,
        tls=adopted.tls(TLS) if adopted else TLS,
        addresses=site.addresses(site.profile.datastore_host),
        restart=f"systemctl restart {unit}",
        inputs=inputs,
        unit=unit,
        leave=adopted.left if adopted else frozenset(),
        database=wanted.database,
        role=wanted.user,
        allow_restart=site.allow_restart,
    )


def _access(site: Site, psql: Psql, hba_file: str) -> Access:
    wanted, name = site.profile.datastore, site.profile.datastore_host
    return Access(
        psql,
        hba_file=hba_file,
        database=wanted.database,
        role=wanted.user,
        servers=tuple(site.source(server, name) for server in site.profile.servers),
    )


def _cluster(site: Site, psql: Psql) -> Cluster:
    layout = site.family(site.profile.datastore_host).postgres
    if site.profile.datastore.cluster == "adopt":
        return Cluster(psql, layout.initdb, layout.unit)
    arguments = f"set -- {OWN_CLUSTER} {psql.port}\n"
    return Cluster(
        psql,
        arguments + layout.second,
        arguments + layout.second_unit,
        data_folders=data_folders(site.profile),
    )


def _packages(site: Site) -> tuple[Purpose, ...]:
    """PostgreSQL only where there is none: its package may be a later version than what runs."""
    there = site.facts[site.profile.datastore_host].postgres_version
    foreign = site.adoption is not None and bool(site.adoption.standing.databases)
    if foreign or (site.profile.datastore.cluster == "own" and there):
        return ("openssl",)
    return ("postgresql", "openssl")
