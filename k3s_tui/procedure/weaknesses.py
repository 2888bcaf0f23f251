"""What the cluster cannot lose: said before it is built, not after it has happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from k3s_tui.profile.model import Profile

Code: TypeAlias = Literal[
    "one-datastore",
    "one-load-balancer",
    "no-server",
    "one-server",
    "one-etcd-server",
    "shared-host",
]


@dataclass(frozen=True)
class Weakness:
    """`code` names the text for a translation; `hosts` are those that it speaks of."""

    code: Code
    text: str
    hosts: tuple[str, ...] = ()


def single_points(profile: Profile) -> tuple[Weakness, ...]:
    """Whatever ends the cluster, or its high availability, when it fails alone.

    Two servers are not one of them: the datastore decides, and servers need no majority.  Nor are
    three with etcd, which goes on with two.
    """
    return tuple(_find(profile))


def _find(profile: Profile) -> Iterator[Weakness]:
    if profile.datastore.mode == "managed":
        databases = tuple(profile.with_role("datastore"))
        yield Weakness(
            "one-datastore",
            f"{_who(databases, 'One host')} runs PostgreSQL alone: while it is down the API does "
            "not answer, though pods go on; if its data is lost, so is the cluster. Make backups.",
            databases,
        )
    if profile.loadbalancer.mode == "managed":
        balancers = tuple(profile.with_role("loadbalancer"))
        yield Weakness(
            "one-load-balancer",
            f"{_who(balancers, 'One host')} is the only load balancer: while it is down "
            "kubectl and new agents reach no server through it. Running pods go on.",
            balancers,
        )
    servers = tuple(profile.servers)
    if not servers:
        yield Weakness("no-server", "There is no server yet.")
    elif len(servers) == 1 and profile.datastore.mode == "embedded":
        yield Weakness(
            "one-etcd-server",
            f"{servers[0]} is the only server and holds the cluster's state alone: if its disk is "
            "lost, so is the cluster. Three servers survive the loss of one. Make snapshots.",
            servers,
        )
    elif len(servers) == 1:
        yield Weakness(
            "one-server",
            f"{servers[0]} is the only server: while it is down there is no API. A second one "
            "makes the API highly available.",
            servers,
        )
    for name, entry in profile.hosts.items():
        roles = tuple(dict.fromkeys(entry.roles))
        if len(roles) > 1:
            yield Weakness(
                "shared-host",
                f"{name} is {' and '.join(roles)} at once: all of it fails together.",
                (name,),
            )


def _who(hosts: tuple[str, ...], otherwise: str) -> str:
    return ", ".join(hosts) or otherwise
