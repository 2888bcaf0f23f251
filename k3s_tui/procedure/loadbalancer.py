"""Chapter: the fixed registration address, an nginx layer-4 proxy in front of all servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.site import Site, host
from k3s_tui.resources import nginx
from k3s_tui.resources.file import File
from k3s_tui.resources.package import Packages
from k3s_tui.resources.service import Service


@dataclass(frozen=True)
class LoadBalancer:
    steps: Steps
    service: Step[Any]


def chapter(site: Site) -> LoadBalancer:
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
    return LoadBalancer((packages, service), service)


def _service(site: Site) -> Service:
    wanted = site.profile.loadbalancer
    layout = site.family(site.profile.loadbalancer_host).nginx
    text = nginx.config(
        [f"{_bracketed(site.address(name))}:{site.api_port}" for name in site.profile.servers],
        port=wanted.port,
        method=wanted.method,
        user=layout.user,
        load_stream=layout.load_stream,
    )
    return Service(
        unit=nginx.UNIT,
        files=(
            File(nginx.CONFIG_PATH, text),
            File(nginx.UNIT_PATH, nginx.unit()),
            File(nginx.ROTATION_PATH, nginx.rotation()),
        ),
        # nginx -t opens the logs, and workers open them again after a rotation: not by our umask.
        validate=f'umask 022; mkdir -p {nginx.LOG_FOLDER} && nginx -t -q -c "$staged_0"',
        # nginx -t does not see that a port is taken, and a failed reload keeps the old workers:
        # what counts is who listens afterwards.
        ready=(f'ss -Hltnp sport = :{wanted.port} | grep -q "pid=$(cat {nginx.PID_PATH})," '),
    )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
