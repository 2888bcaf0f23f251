"""Is a node there and Ready?  Decided by its conditions, explained by its unit's journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from k3s_tui.core.address import canonical
from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.resources.k3s.version import same_release

KUBECTL = "timeout 15 /usr/local/bin/k3s kubectl"

MOST = 6 << 20
"""Bytes of all nodes: some 20 KiB each, so several hundred."""

_ROUNDED = 2.0
"""Seconds: both times are cut to whole ones.  No kubelet ends, and another reports, in between."""


@dataclass(frozen=True)
class NodeState:
    """`addresses` are the InternalIPs; `reason` is what Ready says when it is not True.

    `heartbeat` is when the kubelet said so last, in seconds since the epoch by its own host's
    clock; 0 when it never did.
    """

    present: bool
    ready: bool = False
    version: str = ""
    addresses: tuple[str, ...] = ()
    reason: str = ""
    control_plane: bool = False
    heartbeat: float = field(default=0, compare=False)


@dataclass(frozen=True)
class NodeReady:
    """Waits until the API server says that a node is Ready at the expected version and addresses.

    Asked on a server; no answer at all counts as absence.  `version` is the profile's; a build's
    own suffix after it is allowed.

    A node stays Ready in the API for some 40 seconds after its kubelet has ended.  So `since` is
    when K3s started on that node, by the node's clock, and the kubelet must have reported after
    it: every kubelet does at its start and then every five minutes.  0 takes whatever is there.
    """

    node: str
    version: str
    addresses: tuple[str, ...]
    server: bool
    since: float = 0

    def probe(self) -> Probe[NodeState]:
        # All nodes, whichever is meant: checks of one host and moment then share one kubectl.
        return Probe(f"{KUBECTL} get nodes -o json", self._parse, MOST)

    def _parse(self, out: bytes) -> NodeState:
        nodes = json.loads(out)["items"] if out.strip() else []
        named = (node for node in nodes if node["metadata"]["name"] == self.node)
        return next(map(node_state, named), NodeState(present=False))

    def diff(self, now: NodeState) -> Problem | None:
        if not now.present:
            return Problem(f"node {self.node} has not registered")
        if not now.ready:
            return Problem(f"node {self.node} is not Ready: {now.reason}")
        if now.heartbeat < self.since - _ROUNDED:
            return Problem(f"node {self.node} has said nothing since K3s was started on it")
        if not same_release(now.version, self.version):
            return Problem(f"node {self.node} runs {now.version}, not {self.version}")
        if set(now.addresses) != set(self.addresses):
            return Problem(
                f"node {self.node} has the address {_told(now.addresses)}, "
                f"not {_told(self.addresses)}",
                "set node-ip for this host in the profile",
            )
        if self.server and not now.control_plane:
            return Problem(f"node {self.node} is not labelled as control plane")
        return None

    def says(self, now: NodeState) -> str:
        """What it runs by its own word: a build's suffix is seen wherever the version is."""
        return f"Ready, {now.version}"


def node_state(node: Mapping[str, Any]) -> NodeState:
    """One node object of the Kubernetes API."""
    status = node["status"]
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    addresses = status.get("addresses") or []
    return NodeState(
        present=True,
        ready=ready.get("status") == "True",
        version=sanitize(status.get("nodeInfo", {}).get("kubeletVersion", "")),
        addresses=tuple(
            canonical(sanitize(a["address"])) for a in addresses if a["type"] == "InternalIP"
        ),
        reason=sanitize(ready.get("message") or ready.get("reason") or "it has no Ready condition"),
        control_plane="node-role.kubernetes.io/control-plane" in node["metadata"].get("labels", {}),
        heartbeat=_epoch(ready.get("lastHeartbeatTime")),
    )


def _told(addresses: tuple[str, ...]) -> str:
    return " and ".join(addresses) or "none"


def _epoch(time: str | None) -> float:
    """Seconds since the epoch of a time as Kubernetes writes it, 0 for none."""
    return datetime.fromisoformat(time).timestamp() if time else 0
