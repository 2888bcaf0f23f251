"""The datastore's name on a server: an entry in /etc/hosts, or a DNS's affair."""

from __future__ import annotations

from typing import Any

from k3s_tui.core.address import ip
from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources.block import Block
from k3s_tui.resources.unpinned import InDns, NotInDns


def named(site: Site, name: str) -> Steps:
    """The check and the entry; without an entry in the profile, that there is none.

    One that an earlier run has left would go on pinning the name over a failover of its DNS.
    """
    wanted = site.profile.datastore
    if not site.has_hosts_entry:
        return () if ip(wanted.hostname) else _placed(name, "", InDns(wanted.hostname))
    if wanted.mode == "managed":
        address = site.towards(name, site.profile.datastore_host)
        return _placed(name, f"{address} {wanted.hostname}\n")
    address = wanted.address or ""
    return _placed(name, f"{address} {wanted.hostname}\n", NotInDns(wanted.hostname, address))


def _placed(name: str, line: str, check: InDns | NotInDns | None = None) -> Steps:
    here = host(name)
    free: Steps = (Step(f"{name}/preflight/datastore-name", here, check),) if check else ()
    entry: Step[Any] = Step(
        f"{name}/servers/hosts-entry", here, Block("/etc/hosts", line, at="bottom"), free
    )
    return (*free, entry)
