"""Preflight: hosts that a cluster stands on keep their names and addresses, and stay its hosts.

What a server's own configuration must keep is in `servers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k3s_tui.core.address import canonical
from k3s_tui.core.contract import Step
from k3s_tui.core.errors import Refused
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure import own_pki
from k3s_tui.procedure.existing_datastore import login_by
from k3s_tui.procedure.leaves import FILES
from k3s_tui.procedure.servers import node_of
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources.datastore_ca import CaStays
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.departed import NoneDeparted
from k3s_tui.resources.k3s.held import HoldsCluster, HoldsClusterThere
from k3s_tui.resources.k3s.unchanged import SameDatastore, SameNode
from k3s_tui.resources.mysql.proof import MysqlProof
from k3s_tui.resources.postgres.elsewhere import ElsewhereProof
from k3s_tui.resources.postgres.ownership import Ownership


def steps(site: Site) -> Steps:
    """Nothing of it asks a bare host anything slow."""
    return (*_departed(site), *_agents(site), *_datastore(site), *_held(site), *_ca(site))


def holds_cluster(site: Site, id: str, needs: Steps = ()) -> Steps:
    """Whether PostgreSQL on its host has the cluster's rows; asked again once it surely runs."""
    if not site.founded:
        return ()
    wanted = site.profile.datastore
    name = site.profile.datastore_host
    facts = site.facts[name]
    answers = any(listener.port == wanted.port for listener in facts.listening)
    check = HoldsCluster(
        Ownership(site.psql, wanted.database, site.credentials.token),
        site.founded,
        surely=bool(needs) or answers or "psql" not in facts.commands,
    )
    return (Step(f"{name}/{id}", host(name), check, needs, within=15),)


def _departed(site: Site) -> Iterator[Step[Any]]:
    known = site.pinned - site.profile.hosts.keys()
    if not known:
        return
    wanted = {name: _addresses(site, name) for name in site.profile.hosts}
    for name in site.profile.servers:
        if site.facts[name].k3s_role == "server":
            ensure = NoneDeparted(known, wanted)
            yield Step(f"{name}/preflight/departed-hosts", host(name), ensure)


def _agents(site: Site) -> Iterator[Step[Any]]:
    for name in site.profile.agents:
        public = config.agent_config(
            node_of(site, name), site.registration_url, site.profile.k3s.agent_config
        )
        yield Step(f"{name}/preflight/unchanged", host(name), SameNode(public))


def _datastore(site: Site) -> Iterator[Step[Any]]:
    wanted = site.profile.datastore
    if not site.has_hosts_entry:
        return  # then who runs the name's DNS decides where it leads
    where: tuple[str, ...] = (canonical(wanted.address),) if wanted.address else ()
    if wanted.mode == "managed":
        where = site.addresses(site.profile.datastore_host)
    for name in site.profile.servers:
        ensure = SameDatastore(wanted.hostname, where)
        yield Step(f"{name}/preflight/datastore-stays", host(name), ensure)


def _held(site: Site) -> Iterator[Step[Any]]:
    wanted = site.profile.datastore
    if wanted.mode == "managed":
        yield from holds_cluster(site, "preflight/cluster-is-there")
    if wanted.mode != "existing":
        return
    given = site.credentials
    login = login_by(site.profile, site.database_files, given.datastore_password)
    proof = MysqlProof if wanted.engine == "mysql" else ElsewhereProof
    for name in site.founded:
        there = HoldsClusterThere(proof(login, given.token), wanted.database, given.token, name)
        yield Step(f"{name}/preflight/cluster-is-there", host(name), there, within=60)


def _ca(site: Site) -> Iterator[Step[Any]]:
    """A database that is somebody else's changes its CA when they do, and servers follow."""
    if not site.profile.has_certificates:
        return
    for name in site.founded:
        check = CaStays(site.authority.ca_pem, _shown(site), FILES.ca, FILES.certificate)
        yield Step(f"{name}/preflight/datastore-ca", host(name), check)


def _shown(site: Site) -> str:
    """What PostgreSQL will show, or who signs it; '' for a certificate of its own."""
    if site.kept:
        return ""
    if site.authority.signs:
        return site.authority.certificate_pem
    leaf = site.leaves.get(own_pki.DATASTORE)
    return leaf.certificate_pem if leaf else ""


def _addresses(site: Site, name: str) -> tuple[str, ...]:
    try:
        return site.addresses(name)
    except Refused:
        return ()
