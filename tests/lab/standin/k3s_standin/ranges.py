"""Address families: of nodes, pods and services, which K3s checks before it starts a node."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import Fatal
from .options import Options

_DEFAULTS = {4: ("10.42.0.0/16", "10.43.0.0/16"), 6: ("fd00:42::/56", "fd00:43::/112")}


@dataclass(frozen=True)
class Ranges:
    """What a server was given, or K3s's defaults for its first address's family."""

    cluster: list[str]
    service: list[str]

    @property
    def first_service(self) -> str:
        """The address of the API inside the cluster."""
        return str(ipaddress.ip_network(self.service[0])[1])

    @property
    def is_ipv6_only(self) -> bool:
        return _families(self.service) == [6]


def of(options: Options, addresses: Sequence[str]) -> Ranges:
    """Raises Fatal for what is not a range."""
    cluster, service = _DEFAULTS[_families(addresses)[0]]
    found = Ranges(
        options.many("cluster-cidr") or [cluster], options.many("service-cidr") or [service]
    )
    for name, texts in (("cluster-cidr", found.cluster), ("service-cidr", found.service)):
        for text in texts:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise Fatal(f"invalid {name} {text}: invalid CIDR address: {text}") from error
    return found


def check(found: Ranges, addresses: Sequence[str]) -> None:
    """Raises Fatal, in K3s's words, where a node with these addresses cannot start."""
    pods, services, node = (_families(texts) for texts in (found.cluster, found.service, addresses))
    shared = "must share the same IP version (IPv4, IPv6 or dual-stack)"
    if pods[0] != services[0] or len(pods) != len(services):
        raise Fatal(
            f"cluster-cidr: {_go(found.cluster)} and service-cidr: {_go(found.service)}, {shared}"
        )
    if not set(pods) <= set(node):
        raise Fatal(f"cluster-cidr: {_go(found.cluster)} and node-ip: {_go(addresses)}, {shared}")


def check_api(found: Ranges, addresses: Sequence[str]) -> None:
    """Raises Fatal, in the API server's words, where it would not announce such an address."""
    if _families(found.service)[0] != _families(addresses)[0]:
        raise Fatal(
            f'apiserver exited: service IP family "{found.service[0]}" must match public address '
            f'family "{addresses[0]}"'
        )


def _families(texts: Sequence[str]) -> list[int]:
    return [ipaddress.ip_interface(text).version for text in texts]


def _go(texts: Sequence[str]) -> str:
    return f"[{' '.join(texts)}]"
