"""IPv4, IPv6 and both at once: what K3s can make a cluster of, and what it stops at.

K3s says it only once it starts, in a journal, on one node after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from k3s_tui.core.address import ip
from k3s_tui.profile.model import Profile
from k3s_tui.profile.problem import ProfileProblem, shown

RANGES = ("cluster-cidr", "service-cidr")
DEFAULTS = {
    4: {"cluster-cidr": "10.42.0.0/16", "service-cidr": "10.43.0.0/16"},
    6: {"cluster-cidr": "fd00:42::/56", "service-cidr": "fd00:43::/112"},
}
"""K3s's own, by the family of a server's first node-ip."""

_LARGEST = {"cluster-cidr": {4: 8, 6: 48}, "service-cidr": {4: 12, 6: 108}}
_WHY_NOT_LARGER = {
    "cluster-cidr": "a node's part of it is a /24 or /64, and Kubernetes counts 16 bits of parts",
    "service-cidr": "Kubernetes keeps a record of each of its addresses",
}
_SMALLEST = {"cluster-cidr": {4: 24, 6: 64}, "service-cidr": {4: 28, 6: 124}}
_WHY_NOT_SMALLER = {
    "cluster-cidr": "a node's part of it is a /24 or /64",
    "service-cidr": "the tenth of its addresses is the name server's",
}
_SETTLED = (1, 23, 7)
"""The K3s whose IPv6 is no experiment any more."""

_SHARED = "K3s starts only where node-ip, cluster-cidr and service-cidr are of the same families"

_Network = IPv4Network | IPv6Network


def check_networks(profile: Profile) -> Iterator[ProfileProblem]:
    """Whether the families of addresses and ranges go together."""
    yield from _addresses(profile)
    broken = list(_ranges(profile))
    yield from broken
    if not broken:
        yield from _families(profile)
    yield from _version(profile)


def families(addresses: Iterable[str]) -> tuple[int, ...]:
    """4 and 6 in the order of the addresses; those that are names have none."""
    parsed = (ip(address) for address in addresses)
    return tuple(dict.fromkeys(found.version for found in parsed if found))


def told(found: tuple[int, ...]) -> str:
    """`IPv6`, or `IPv4 and IPv6`."""
    return " and ".join(f"IPv{family}" for family in found)


def clash(own: tuple[int, ...], settings: Mapping[str, Any]) -> str:
    """Why K3s would not start on a node with addresses of these families; '' when it would.

    `own` are a node's, its first node-ip's first; `settings` those of all servers.
    """
    if not own:
        return ""
    pods = _families_of(settings, "cluster-cidr") or own[:1]
    services = _families_of(settings, "service-cidr") or own[:1]
    if missing := [family for family in pods if family not in own]:
        return f"cluster-cidr is {told(pods)}, and it has no {told(tuple(missing))} address"
    if set(pods) != set(services):
        return f"cluster-cidr is {told(pods)}, and service-cidr {told(services)}"
    if pods[0] != services[0]:
        return f"cluster-cidr begins with {told(pods[:1])}, and service-cidr does not"
    if services[0] != own[0]:
        return f"service-cidr begins with {told(services[:1])}, and its node-ip does not"
    return ""


def _addresses(profile: Profile) -> Iterator[ProfileProblem]:
    places: list[tuple[str, tuple[str | int, ...]]] = []
    for name, host in profile.hosts.items():
        places.append((host.address, ("hosts", name, "address")))
        places += ((text, ("hosts", name, "node-ip")) for text in host.node_ips)
        parsed = [ip(text) for text in host.node_ips]
        if len(parsed) == 2 and parsed[0] and parsed[1] and parsed[0].version == parsed[1].version:
            yield ProfileProblem(
                "one-family",
                f"both addresses are {told((parsed[0].version,))}",
                ("hosts", name, "node-ip"),
                expected="one address, or one of IPv4 and one of IPv6",
            )
    places.append((profile.loadbalancer.address, ("loadbalancer", "address")))
    for text, path in places:
        parsed_one = ip(text)
        if parsed_one is None:
            continue
        mapped = parsed_one.version == 6 and parsed_one.ipv4_mapped is not None
        useless = (
            "written as IPv6, and is an IPv4 address"
            if mapped
            else "of one link only, and means something else on every host"
            if parsed_one.version == 6 and parsed_one.is_link_local
            else "not the address of one host"
            if parsed_one.is_multicast or parsed_one.is_unspecified
            else ""
        )
        if useless:
            yield ProfileProblem(
                "bad-address",
                f"{shown(text)} is {useless}",
                path,
                expected="an address at which the other hosts reach it",
            )


def _ranges(profile: Profile) -> Iterator[ProfileProblem]:
    """Each range by itself."""
    for key in RANGES:
        path = ("k3s", "server-config", key)
        given = _texts(profile.k3s.server_config, key)
        parsed = [_network(text) for text in given]
        for text, network in zip(given, parsed, strict=True):
            if network is None:
                yield ProfileProblem(
                    "bad-range",
                    f"{shown(text)} is not a range of addresses",
                    path,
                    expected=f"such as {DEFAULTS[4][key]} or {DEFAULTS[6][key]}",
                )
            elif network.prefixlen < _LARGEST[key][network.version]:
                yield ProfileProblem(
                    "bad-range",
                    f"{key} {network} is too large for Kubernetes",
                    path,
                    expected=f"/{_LARGEST[key][network.version]} or a smaller range",
                    help=_WHY_NOT_LARGER[key],
                )
            elif network.prefixlen > _SMALLEST[key][network.version]:
                yield ProfileProblem(
                    "bad-range",
                    f"{key} {network} is too small for Kubernetes",
                    path,
                    expected=f"/{_SMALLEST[key][network.version]} or a larger range",
                    help=_WHY_NOT_SMALLER[key],
                )
        versions = [network.version for network in parsed if network]
        if len(versions) > len(set(versions)):
            yield ProfileProblem(
                "bad-range",
                f"{key} has {len(versions)} ranges of the same family",
                path,
                expected="one range, or one of IPv4 and one of IPv6",
            )


def _families(profile: Profile) -> Iterator[ProfileProblem]:
    settings = profile.k3s.server_config
    first: dict[int, str] = {}
    for name, host in profile.k3s_nodes.items():
        own = families(host.cluster_addresses)
        if not own:
            continue
        first.setdefault(own[0], name)
        path = ("hosts", name, "node-ip" if host.node_ip else "address")
        if reason := clash(own, settings):
            yield ProfileProblem(
                "families-differ",
                f"K3s does not start on {shown(name)}: {reason}",
                path,
                help=f"{_SHARED}; for both, give it node-ip = "
                f'"{"10.0.0.1,fd00::1" if own[0] == 4 else "fd00::1,10.0.0.1"}"',
            )
        elif len(first) > 1:
            other = next(iter(first.values()))
            yield ProfileProblem(
                "families-differ",
                f"{shown(name)} is in the cluster by {told(own[:1])}, and {shown(other)} by "
                f"{told(tuple(first)[:1])}",
                path,
                help="all servers and agents need addresses of the same family: " + _SHARED,
            )


def _version(profile: Profile) -> Iterator[ProfileProblem]:
    parts = re.match(r"v(\d+)\.(\d+)\.(\d+)", profile.k3s.version)
    nodes = (a for host in profile.k3s_nodes.values() for a in host.cluster_addresses)
    if parts and tuple(map(int, parts.groups())) < _SETTLED and 6 in families(nodes):
        yield ProfileProblem(
            "old-k3s",
            f"IPv6 is an experiment in K3s {profile.k3s.version}",
            ("k3s", "version"),
            expected="v{}.{}.{} or newer".format(*_SETTLED),
            severity="warning",
        )


def _families_of(settings: Mapping[str, Any], key: str) -> tuple[int, ...]:
    parsed = (_network(text) for text in _texts(settings, key))
    return tuple(dict.fromkeys(network.version for network in parsed if network))


def _texts(settings: Mapping[str, Any], key: str) -> list[str]:
    """The ranges as K3s reads them: one text with commas, or a list."""
    value = settings.get(key)
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    return [part.strip() for item in items for part in str(item).split(",")]


def _network(text: str) -> _Network | None:
    if "/" not in text:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
