"""Is a node there and Ready?  Decided by its conditions, explained by its unit's journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Probe, Problem

KUBECTL = "timeout 15 /usr/local/bin/k3s kubectl"


@dataclass(frozen=True)
class NodeState:
    """`address` is the InternalIP; `reason` is what Ready says when it is not True."""

    present: bool
    ready: bool = False
    version: str = ""
    address: str = ""
    reason: str = ""
    control_plane: bool = False


@dataclass(frozen=True)
class NodeReady:
    """Waits until the API server says that a node is Ready at the expected version and address.

    Asked on a server; no answer at all counts as absence.  `version` is the profile's; a build's
    own suffix after it is allowed.
    """

    node: str
    version: str
    address: str
    server: bool

    def probe(self) -> Probe[NodeState]:
        # All nodes, whichever is meant: checks of one host and moment then share one kubectl.
        return Probe(f"{KUBECTL} get nodes -o json", self._parse)

    def _parse(self, out: bytes) -> NodeState:
        nodes = json.loads(out)["items"] if out.strip() else []
        named = (node for node in nodes if node["metadata"]["name"] == self.node)
        return next(map(node_state, named), NodeState(present=False))

    def diff(self, now: NodeState) -> Problem | None:
        if not now.present:
            return Problem(f"node {self.node} has not registered")
        if not now.ready:
            return Problem(f"node {self.node} is not Ready: {now.reason}")
        if not now.version.startswith(self.version):
            return Problem(f"node {self.node} runs {now.version}, not {self.version}")
        if now.address != self.address:
            return Problem(
                f"node {self.node} has the address {now.address}, not {self.address}",
                "set node-ip for this host in the profile",
            )
        if self.server and not now.control_plane:
            return Problem(f"node {self.node} is not labelled as control plane")
        return None


def node_state(node: Mapping[str, Any]) -> NodeState:
    """One node object of the Kubernetes API."""
    status = node["status"]
    conditions = {c["type"]: c for c in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    addresses = {a["type"]: a["address"] for a in status.get("addresses", [])}
    return NodeState(
        present=True,
        ready=ready.get("status") == "True",
        version=status.get("nodeInfo", {}).get("kubeletVersion", ""),
        address=addresses.get("InternalIP", ""),
        reason=ready.get("message") or ready.get("reason") or "it has no Ready condition",
        control_plane="node-role.kubernetes.io/control-plane" in node["metadata"].get("labels", {}),
    )
