"""Which servers keep the cluster's state in their etcd."""

from __future__ import annotations

import json
from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.resources.k3s.nodes import KUBECTL, MOST

_LABEL = "node-role.kubernetes.io/etcd"


@dataclass(frozen=True)
class EtcdMembers:
    """Each of these servers is a member of etcd, and no other node is.  Asked on a server."""

    servers: tuple[str, ...]

    def probe(self) -> Probe[frozenset[str]]:
        return Probe(f"{KUBECTL} get nodes -o json", _parse, MOST)

    def diff(self, now: frozenset[str]) -> Problem | None:
        if missing := sorted(set(self.servers) - now):
            return Problem(
                f"{', '.join(missing)}: no member of etcd",
                "look at that server's K3s: journalctl -u k3s | grep -i etcd",
            )
        if others := sorted(now - set(self.servers)):
            return Problem(
                f"{', '.join(others)}: a member of etcd, and no server of this profile",
                "add it to the profile, or remove it: kubectl delete node",
            )
        return None


def _parse(out: bytes) -> frozenset[str]:
    nodes = json.loads(out)["items"] if out.strip() else []
    return frozenset(
        sanitize(node["metadata"]["name"])
        for node in nodes
        if _LABEL in node["metadata"].get("labels", {})
    )
