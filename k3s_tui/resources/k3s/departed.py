"""Nodes of the cluster that the profile once had and has no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.resources.k3s.nodes import KUBECTL, MOST, node_state

Nodes: TypeAlias = Mapping[str, tuple[str, ...]]
"""Addresses of nodes, by name."""


@dataclass(frozen=True)
class NoneDeparted:
    """A preflight check on a server: none of the nodes is called as one of `known`.

    Those are names that are pinned in the lock file and no longer in the profile.  A node that
    neither knows was joined by others, and is their affair.  `wanted` are the addresses of the
    profile's hosts, by name.  A cluster that does not answer has no nodes to tell of.
    """

    known: frozenset[str]
    wanted: Nodes

    def probe(self) -> Probe[Nodes]:
        return Probe(f"{KUBECTL} get nodes -o json 2>/dev/null", self._parse, MOST)

    def diff(self, now: Nodes) -> Problem | None:
        if not now:
            return None
        told = [self._told(name, addresses) for name, addresses in now.items()]
        return Problem(
            f"not in the profile any more, and still in the cluster: {'; '.join(told)}",
            "put it back; to be rid of it, drain it, `k3s kubectl delete node` it, and uninstall "
            "K3s there; then run again",
        )

    def _parse(self, out: bytes) -> Nodes:
        try:
            nodes: list[dict[str, Any]] = json.loads(out)["items"] or []
        except (ValueError, KeyError, TypeError):
            return {}
        return {
            node["metadata"]["name"]: node_state(node).addresses
            for node in nodes
            if node["metadata"]["name"] in self.known
        }

    def _told(self, name: str, addresses: tuple[str, ...]) -> str:
        by = {address: new for new, theirs in self.wanted.items() for address in theirs}
        renamed = next((by[address] for address in addresses if address in by), None)
        return f"{name} (now called {renamed} in the profile)" if renamed else name
