from __future__ import annotations

import json
from typing import Any

import pytest

from k3s_tui.resources.k3s.nodes import NodeReady, NodeState, node_state

CHECK = NodeReady("one", "v1.34.1+k3s1", "10.0.0.1", server=True)


def node(
    *,
    ready: str = "True",
    version: str = "v1.34.1+k3s1",
    address: str = "10.0.0.1",
    labels: dict[str, str] | None = None,
    message: str = "kubelet is posting ready status",
) -> bytes:
    found: dict[str, Any] = {
        "metadata": {
            "name": "one",
            "labels": {"node-role.kubernetes.io/control-plane": "true"}
            if labels is None
            else labels,
        },
        "status": {
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": ready, "message": message},
            ],
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": "one"},
            ],
            "nodeInfo": {"kubeletVersion": version},
        },
    }
    other = {"metadata": {"name": "other"}, "status": {}}
    return json.dumps({"items": [other, found]}).encode()


@pytest.mark.parametrize(
    ("out", "problem"),
    [
        (node(), None),
        (node(version="v1.34.1+k3s1-standin"), None),
        (b"", "has not registered"),
        (b'{"items": []}', "has not registered"),
        (node(ready="False", message="cni plugin not initialized"), "cni plugin not initialized"),
        (node(ready="Unknown", message=""), "not Ready"),
        (node(version="v1.33.4+k3s1"), "runs v1.33.4+k3s1"),
        (node(address="192.168.0.1"), "has the address 192.168.0.1"),
        (node(labels={}), "control plane"),
    ],
)
def test_a_node_is_judged_by_its_conditions(out: bytes, problem: str | None) -> None:
    found = CHECK.diff(CHECK.probe().parse(out))
    assert (found is None) == (problem is None)
    assert found is None or problem in found.text  # type: ignore[operator]


def test_a_node_without_conditions_is_not_ready() -> None:
    bare = {"metadata": {"name": "one"}, "status": {}}
    assert node_state(bare) == NodeState(present=True, reason="it has no Ready condition")
