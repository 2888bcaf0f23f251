"""Preflight: hosts that a cluster stands on keep their names and addresses, and stay its hosts.

What a server's own configuration must keep is in `servers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.core.errors import Refused
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.servers import node_of
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.departed import NoneDeparted
from k3s_tui.resources.k3s.unchanged import SameDatastore, SameNode


def steps(site: Site) -> Steps:
    """Nothing of it asks a bare host anything slow."""
    return (*_departed(site), *_agents(site), *_datastore(site))


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
    if wanted.mode != "managed" or wanted.hosts_entry == "never":
        return  # then who runs the name's DNS decides where it leads
    where = site.addresses(site.profile.datastore_host)
    for name in site.profile.servers:
        ensure = SameDatastore(wanted.hostname, where)
        yield Step(f"{name}/preflight/datastore-stays", host(name), ensure)


def _addresses(site: Site, name: str) -> tuple[str, ...]:
    try:
        return site.addresses(name)
    except Refused:
        return ()
