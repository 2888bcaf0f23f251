"""Chapter: the fixed registration address, an nginx layer-4 proxy in front of all servers.

An external one is not touched: here one waits until it leads to the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.servers import Servers
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources import nginx
from k3s_tui.resources.file import File
from k3s_tui.resources.package import Packages
from k3s_tui.resources.reached import RegistrationAnswers
from k3s_tui.resources.service import Service


@dataclass(frozen=True)
class LoadBalancer:
    """`ready` is what whoever needs the registration address waits for."""

    steps: Steps
    ready: Steps


def chapter(site: Site, servers: Servers) -> LoadBalancer:
    if site.profile.loadbalancer.mode == "external":
        answers = _answers(site, servers)
        return LoadBalancer((answers,), (answers,))
    name = site.profile.loadbalancer_host
    family = site.family(name)
    packages = Step(
        f"{name}/loadbalancer/packages",
        host(name),
        Packages(
            family.packages_for("nginx", "logrotate", "download"),
            family,
            quiet_units=(family.nginx.unit,),
        ),
        within=900,
    )
    service = Step(f"{name}/loadbalancer/service", host(name), _service(site), (packages,))
    # Not a file of the service: nginx never reads it.
    rotation = Step(
        f"{name}/loadbalancer/rotation",
        host(name),
        File(nginx.ROTATION_PATH, nginx.rotation()),
        (packages,),
    )
    return LoadBalancer((packages, service, rotation), (service,))


def _answers(site: Site, servers: Servers) -> Step[Any]:
    first = next(iter(site.profile.servers))
    return Step(
        f"{first}/loadbalancer/answers",
        host(first),
        RegistrationAnswers(site.registration_url),
        tuple(servers.ready.values()),
        within=90,  # its health checks take some rounds to find the servers
    )


def upstreams(site: Site) -> tuple[str, ...]:
    """Every server's API, as the load balancer names it."""
    balancer = site.profile.loadbalancer_host
    return tuple(
        nginx.upstream(site.towards(balancer, name), site.api_port) for name in site.profile.servers
    )


def _service(site: Site) -> Service:
    wanted = site.profile.loadbalancer
    layout = site.family(site.profile.loadbalancer_host).nginx
    text = nginx.config(
        upstreams(site),
        port=wanted.port,
        method=wanted.method or "least_conn",
        user=layout.user,
        load_stream=layout.load_stream,
        ipv6=_uses_ipv6(site),
    )
    return Service(
        unit=nginx.UNIT,
        files=(
            File(nginx.CONFIG_PATH, text),
            File(nginx.UNIT_PATH, nginx.unit()),
        ),
        # nginx -t opens the logs, and workers open them again after a rotation: not by our umask.
        validate=f'umask 022; mkdir -p {nginx.LOG_FOLDER} && nginx -t -q -c "$staged_0"',
        reload=nginx.reload(),
        reloadable=frozenset({nginx.CONFIG_PATH}),
        ready=nginx.ready(),
    )


def _uses_ipv6(site: Site) -> bool:
    """Whether anybody may come over IPv6."""
    there = site.facts[site.profile.loadbalancer_host].addresses
    if there and not any(":" in address for _, address in there):
        return False  # not even ::1: its kernel has no IPv6
    wanted = [address for name in site.profile.hosts for address in site.addresses(name)]
    return any(":" in address for address in (site.profile.loadbalancer.address, *wanted))
