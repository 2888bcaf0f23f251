"""A K3s that somebody else installed is not taken over."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.resources.k3s.service import MARK

_DATA = "/var/lib/rancher/k3s/server/token /var/lib/rancher/k3s/agent/kubelet.kubeconfig"


@dataclass(frozen=True)
class NoForeignK3s:
    """A preflight check: no cluster's data on this node, except that of our own."""

    def probe(self) -> Probe[str]:
        return Probe(
            f"[ -e {MARK} ] || for path in {_DATA}; do [ ! -e $path ] || echo $path; done",
            lambda out: out.decode().strip(),
        )

    def diff(self, now: str) -> Problem | None:
        if not now:
            return None
        return Problem(
            f"it holds a K3s that k3s-tui did not install: {', '.join(now.split())}",
            "run k3s-uninstall.sh or k3s-agent-uninstall.sh on it if that cluster is gone",
        )
