"""Chapter: the kubeconfig, with the registration address instead of the server's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import LAPTOP, Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.loadbalancer import LoadBalancer
from k3s_tui.procedure.servers import Servers
from k3s_tui.procedure.site import Site, host
from k3s_tui.profile.neighbours import kubeconfig_file
from k3s_tui.resources.k3s.kubeconfig import ServerKubeconfig, rewritten
from k3s_tui.resources.laptop import LocalFile


@dataclass(frozen=True)
class Kubeconfig:
    steps: Steps


def chapter(site: Site, servers: Servers, balancer: LoadBalancer) -> Kubeconfig:
    first = next(iter(site.profile.servers))
    there = Step(f"{first}/kubeconfig", host(first), ServerKubeconfig(), (servers.ready[first],))
    here: Step[Any] = Step(
        "laptop/kubeconfig",
        LAPTOP,
        lambda seen: LocalFile(
            kubeconfig_file(site.profile_path),
            rewritten(seen[there], site.registration_url, site.profile.name),
        ),
        (there, *balancer.ready),
    )
    return Kubeconfig((there, here))
