"""Preflight rules on addresses: families that K3s takes together, and ways from host to host."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from k3s_tui.core.address import canonical, ip
from k3s_tui.core.contract import Problem
from k3s_tui.core.errors import Refused
from k3s_tui.procedure.site import Site
from k3s_tui.profile.networks import clash, families


def same_families(site: Site, name: str) -> Problem | None:
    """As the profile's own rule, with the addresses of hosts that it has names for."""
    own = families(_addresses(site, name))
    reason = clash(own, site.profile.k3s.server_config)
    if reason:
        return Problem(
            f"K3s does not start there: {reason}",
            f"set node-ip in [hosts.{name}], or the ranges in [k3s.server-config]",
        )
    first = next(iter(site.profile.servers), name)
    theirs = families(_addresses(site, first))
    if own and theirs and own[0] != theirs[0]:
        return Problem(
            f"its first address is IPv{own[0]}, and that of {first} is IPv{theirs[0]}",
            "all servers and agents need node-ip addresses of the same family",
        )
    return None


def routes(site: Site, name: str) -> Problem | None:
    """Whether its own routing table leads to every host that it has to reach."""
    known = site.facts[name].route_sources
    if not any(known.values()):
        return None  # no `ip` to ask, or no other host with a number
    for who, addresses in _needed(site, name):
        asked = [address for address in addresses if address in known]
        if asked and not any(known[address] for address in asked):
            return Problem(
                f"it has no route to {who} ({', '.join(asked)})",
                f"give it an address of that family and a route, or {who} one that it can reach",
            )
        source = next((known[address] for address in asked if known[address]), None)
        if source is not None and ip_address(source).is_link_local:
            return Problem(
                f"it would reach {who} from {source}, which means something on one link only",
                "give it an address of its own in that network",
            )
    return None


def lasting_addresses(site: Site, name: str) -> Problem | None:
    """A temporary address (RFC 8981) is another one tomorrow, and pg_hba.conf names today's."""
    facts = site.facts[name]
    peer = next(iter(site.profile.with_role("datastore")), None)
    if peer is None or not _addresses(site, peer):
        return None
    source = site.source(name, peer)
    if source not in facts.temporary_addresses:
        return None
    return Problem(
        f"it would reach the datastore from {source}, a temporary address that it drops some day",
        "switch them off: net.ipv6.conf.all.use_tempaddr = 0 and ...default.use_tempaddr = 0 in a "
        "file below /etc/sysctl.d, then set up the network again",
    )


def _needed(site: Site, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Hosts that it connects to, and at which addresses."""
    profile = site.profile
    roles = set(profile.hosts[name].roles)
    others: dict[str, None] = {}
    if "server" in roles:
        others |= dict.fromkeys(profile.with_role("datastore"))
    if "loadbalancer" in roles:
        others |= dict.fromkeys(profile.servers)
    if roles & {"server", "agent"}:
        others |= dict.fromkeys(profile.k3s_nodes)
    for other in others:
        if other != name:
            yield other, _addresses(site, other)
    if "agent" in roles and ip(profile.loadbalancer.address):
        yield "the load balancer", (canonical(profile.loadbalancer.address),)


def _addresses(site: Site, name: str) -> tuple[str, ...]:
    """None while nobody knows them: a draft's host, or one that said none."""
    try:
        return site.addresses(name)
    except (KeyError, Refused):
        return ()
