"""etcd inside the servers: the first one founds the cluster, the others join it."""

from __future__ import annotations

from typing import Any

from k3s_tui.core.address import url
from k3s_tui.core.contract import Problem, Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.datastore_client import NO_ENDPOINT, Client, same
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.members import EtcdMembers


def client(site: Site, name: str, ca: Step[str] | None) -> Client:
    """Who joins does so at the first server itself, and with a token that pins the cluster's CA."""
    token = site.credentials.token
    if ca is None:
        return Client((), config.Etcd(), NO_ENDPOINT, same(()), same(token))
    first = next(iter(site.profile.servers))
    at = url("https", site.towards(name, first), site.api_port)
    return Client(
        (),
        config.Etcd(at),
        NO_ENDPOINT,
        same(()),
        lambda seen: config.secure_server_token(seen[ca], token),
    )


def verification(site: Site) -> Steps:
    servers = tuple(site.profile.servers)
    members: Step[Any] = Step(
        f"{servers[0]}/verification/etcd-members",
        host(servers[0]),
        EtcdMembers(servers),
        within=30,
    )
    return (members,)


def founder(site: Site, name: str) -> Problem | None:
    """A new server in front of those that are there would found a second cluster."""
    if site.profile.datastore.mode != "embedded":
        return None
    servers = list(site.profile.servers)
    there = [server for server in servers if site.facts[server].k3s_role is not None]
    if name != servers[0] or not there or name in there:
        return None
    return Problem(
        f"it is the first server of the profile and has no K3s, but {there[0]} has: it would found"
        " a second cluster",
        f"move [hosts.{name}] behind [hosts.{there[0]}]: who comes first founds, who follows joins",
    )
