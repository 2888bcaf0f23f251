"""What a leaf certificate must say.  Decided here, never taken from a signing request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from k3s_tui.core.address import canonical, ip
from k3s_tui.core.errors import Refused

Usage = Literal["server", "client"]

_LONGEST_NAME = 64
"""X.509's upper bound for a common name and for an organizational unit (RFC 5280, A.1)."""


@dataclass(frozen=True)
class LeafProfile:
    """Names and usage of one leaf.  `dns` and `addresses` become subject alternative names.

    Raises Refused for a name that a certificate cannot hold.
    """

    usage: Usage
    common_name: str
    unit: str = ""
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.common_name, self.unit):
            if len(name) > _LONGEST_NAME:
                raise Refused(
                    f"a certificate cannot hold the name {name!r}",
                    hint=f"use a name of at most {_LONGEST_NAME} characters",
                )
        for name in self.dns:
            if not name.isascii():
                raise Refused(
                    f"a certificate cannot hold the DNS name {name!r}",
                    hint="write it in its ASCII form (xn--…)",
                )
        for address in self.addresses:
            try:
                ip_address(address)
            except ValueError:
                raise Refused(f"{address!r} is not an IP address") from None


def datastore_server(
    hostname: str, addresses: Iterable[str] = (), more: Iterable[str] = ()
) -> LeafProfile:
    """PostgreSQL's own certificate; `more` are other names and addresses it is to be good for.

    Go reads subject alternative names only, older clients the common name: `hostname` is both.
    """
    dns, ips = dict.fromkeys((hostname,)), dict.fromkeys(addresses)
    for name in more:
        (dns if ip(name) is None else ips)[canonical(name)] = None
    return LeafProfile("server", hostname, dns=tuple(dns), addresses=tuple(ips))


def datastore_client(user: str, host: str) -> LeafProfile:
    """One K3s server's certificate.

    `clientcert=verify-full` compares the common name with the role byte by byte, so all servers
    share it; the unit tells them apart.
    """
    return LeafProfile("client", user, unit=host)
