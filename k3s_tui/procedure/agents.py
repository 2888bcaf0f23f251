"""Chapter: agents, side by side, through the load balancer, with a token that pins the CA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.installation import Installation
from k3s_tui.procedure.loadbalancer import LoadBalancer
from k3s_tui.procedure.servers import Servers, foreign, node_of
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.nodes import NodeReady
from k3s_tui.resources.k3s.service import agent_service
from k3s_tui.resources.started import Started


@dataclass(frozen=True)
class Agents:
    steps: Steps


def chapter(site: Site, source: Installation, servers: Servers, balancer: LoadBalancer) -> Agents:
    steps: list[Step[Any]] = []
    for name in site.profile.agents:
        theirs = foreign(name)
        service = _service(site, name, source, servers, balancer)
        started = Step(
            f"{name}/agents/started", host(name), Started("k3s-agent.service"), (service,)
        )
        ready = _ready(site, name, started, servers)
        steps += (theirs, service, started, ready)
    return Agents(tuple(steps))


def _service(
    site: Site, name: str, source: Installation, servers: Servers, balancer: LoadBalancer
) -> Step[Any]:
    public = config.agent_config(
        node_of(site, name), site.registration_url, site.profile.k3s.agent_config
    )
    binary = source.binary(name)
    return Step(
        f"{name}/agents/k3s",
        host(name),
        lambda seen: agent_service(
            public,
            config.agent_secrets(
                config.secure_agent_token(seen[servers.ca], site.credentials.agent_token)
            ),
            inputs=(seen[binary].digest,),
        ),
        (*source.needs[name], servers.ca, *servers.ready.values(), *balancer.ready),
        within=700,
    )


def _ready(site: Site, name: str, started: Step[int], servers: Servers) -> Step[Any]:
    # Asked on a server: an agent has no rights of its own to ask with.
    first = next(iter(site.profile.servers))
    return Step(
        f"{name}/agents/ready",
        host(first),
        lambda seen: NodeReady(
            name,
            site.profile.k3s.version,
            site.addresses(name),
            server=False,
            since=seen[started],
        ),
        (started, servers.ready[first]),
        within=300,
    )
