"""Chapter: the servers, one after the other.

A server's K3s starts, or starts again, only when the one before it is Ready: at the first start
because the first one makes the cluster, later because the others keep the API up meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from k3s_tui.core.address import canonical
from k3s_tui.core.contract import Step
from k3s_tui.core.secret import Secret
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure import leaves
from k3s_tui.procedure.datastore import Datastore
from k3s_tui.procedure.datastore_client import Client, ClientOf, same
from k3s_tui.procedure.hosts_entry import named
from k3s_tui.procedure.installation import Installation
from k3s_tui.procedure.leaves import FILES
from k3s_tui.procedure.proofs import datastore_login, deployed_pair
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources.file import File
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.cluster_ca import ClusterCa
from k3s_tui.resources.k3s.foreign import NoForeignK3s
from k3s_tui.resources.k3s.nodes import NodeReady
from k3s_tui.resources.k3s.service import server_service
from k3s_tui.resources.k3s.unchanged import Unchanged
from k3s_tui.resources.started import Started


@dataclass(frozen=True)
class Servers:
    """`ready` is each server's readiness, by name; `ca` the hash of the cluster's CA."""

    steps: Steps
    ready: Mapping[str, Step[Any]]
    ca: Step[str]


def chapter(site: Site, client_of: ClientOf, source: Installation) -> Servers:
    steps: list[Step[Any]] = []
    ready: dict[str, Step[Any]] = {}
    ca: Step[str] | None = None
    for name in site.profile.servers:
        before = tuple(ready.values())[-1:]
        own = _server(site, name, client_of(name, ca), source, (*before, *((ca,) if ca else ())))
        steps += own
        ready[name] = own[-1]
        ca = ca or Step(f"{name}/servers/ca", host(name), ClusterCa(), (ready[name],))
    assert ca is not None, "the profile's rules see to it that there is a server"
    return Servers((*steps, ca), ready, ca)


def managed_client(
    site: Site, database: Datastore, source: Installation, name: str, _: Step[str] | None
) -> Client:
    """A certificate for PostgreSQL, made on the server, and the proof that it lets K3s in."""
    here = host(name)
    entry = named(site, name)
    leaf = leaves.of_server(site, name)
    ca = Step(
        f"{name}/servers/datastore-ca",
        here,
        File(FILES.ca, site.datastore_ca, folder_mode="0700"),
        database.answered,
    )
    certificate = Step(
        f"{name}/servers/certificate",
        here,
        leaf,
        (source.packages[name], ca),
    )
    own = () if site.authority.signs else (ca, certificate)  # the proof uses them
    proof = datastore_login(site, name, (*entry, *own, *database.ready))
    pair = deployed_pair(site, name, FILES, (*entry, ca, certificate, *database.ready))
    return Client(
        (*leaves.preflight(name, leaf), *entry, ca, certificate, proof, pair),
        FILES,
        _endpoint(site),
        lambda seen: (seen[ca].digest, seen[certificate].fingerprint),
        same(site.credentials.token),
    )


def _server(site: Site, name: str, client: Client, source: Installation, before: Steps) -> Steps:
    here = host(name)
    theirs = foreign(name)
    binary = source.binary(name)
    public = config.server_config(
        node_of(site, name), _tls_san(site, name), client.state, site.profile.k3s.server_config
    )
    unchanged: Step[Any] = Step(
        f"{name}/preflight/unchanged",
        here,
        Unchanged(
            public,
            client.endpoint,
            site.credentials.token,
            site.credentials.agent_token,
            managed=FILES.certificate,
            nonce=token_hex(16),
        ),
    )
    service: Step[Any] = Step(
        f"{name}/servers/k3s",
        here,
        lambda seen: server_service(
            public,
            config.server_secrets(
                client.token(seen), site.credentials.agent_token, client.endpoint
            ),
            inputs=(seen[binary].digest, *client.inputs(seen)),
        ),
        (theirs, unchanged, *source.needs[name], *client.steps, *before),
        within=700,
    )
    started = Step(f"{name}/servers/started", here, Started("k3s.service"), (service,))
    ready: Step[Any] = Step(
        f"{name}/servers/ready",
        here,
        lambda seen: NodeReady(
            name,
            site.profile.k3s.version,
            site.addresses(name),
            server=True,
            since=seen[started],
        ),
        (service, started),
        within=300,
    )
    return (theirs, unchanged, *client.steps, service, started, ready)


def foreign(name: str) -> Step[Any]:
    return Step(f"{name}/preflight/foreign-k3s", host(name), NoForeignK3s())


def node_of(site: Site, name: str) -> config.Node:
    entry = site.profile.hosts[name]
    return config.Node(name, site.addresses(name), entry.labels, entry.taints)


def _tls_san(site: Site, name: str) -> list[str]:
    """The same on every server: each may answer for the registration address."""
    wanted = [site.profile.loadbalancer.address, *site.profile.k3s.tls_san]
    for name in site.profile.with_role("loadbalancer"):
        wanted += site.addresses(name)
    return list(dict.fromkeys(map(canonical, wanted)))


def _endpoint(site: Site) -> Secret:
    wanted = site.profile.datastore
    return config.datastore_endpoint(
        wanted.user,
        site.credentials.datastore_password,
        wanted.hostname,
        wanted.port,
        wanted.database,
    )
