from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from k3s_tui.resources.k3s.nodes import NodeReady, NodeState, node_state
from k3s_tui.resources.k3s.version import same_release

CHECK = NodeReady("one", "v1.34.1+k3s1", ("10.0.0.1",), server=True)
STARTED = datetime(2030, 1, 15, 12, 0, 0, tzinfo=UTC).timestamp()


def node(
    *,
    ready: str = "True",
    version: str = "v1.34.1+k3s1",
    address: str = "10.0.0.1",
    labels: dict[str, str] | None = None,
    message: str = "kubelet is posting ready status",
    heartbeat: str = "2030-01-15T12:00:00Z",
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
                {
                    "type": "Ready",
                    "status": ready,
                    "message": message,
                    "lastHeartbeatTime": heartbeat,
                },
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
        (node(version="v1.34.1+k3s10"), "runs v1.34.1+k3s10"),
        (node(version="\x1b[2J"), r"runs \x1b[2J"),
        (node(address="\u202e"), r"address \u202e"),
        (node(ready="False", message="\x1b]0;x\x07"), r"\x1b]0;x\x07"),
        (node(address="192.168.0.1"), "has the address 192.168.0.1"),
        (node(labels={}), "control plane"),
    ],
)
def test_a_node_is_judged_by_its_conditions(out: bytes, problem: str | None) -> None:
    found = CHECK.diff(CHECK.probe().parse(out))
    assert (found is None) == (problem is None)
    assert found is None or problem in found.text  # type: ignore[operator]


@pytest.mark.parametrize(
    ("heartbeat", "heard"),
    [
        ("2030-01-15T12:00:00Z", True),
        ("2030-01-15T12:04:00Z", True),
        ("2030-01-15T11:59:50Z", False),
        ("", False),
    ],
)
def test_ready_is_what_the_kubelet_of_this_start_said(heartbeat: str, heard: bool) -> None:
    """The condition outlives the kubelet that set it."""
    check = replace(CHECK, since=STARTED)
    found = check.diff(check.probe().parse(node(heartbeat=heartbeat)))
    assert (found is None) == heard
    assert found is None or "has said nothing since K3s was started" in found.text
    assert CHECK.diff(CHECK.probe().parse(node(heartbeat=heartbeat))) is None


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ("v1.34.1+k3s1", True),
        ("v1.34.1+k3s1-standin", True),
        ("v1.34.1+k3s1 (24fc436e)", True),
        ("v1.34.1+k3s10", False),
        ("v1.34.1+k3s1.2", False),
        ("v1.34.10+k3s1", False),
        ("v1x34.1+k3s1", False),
        ("", False),
    ],
)
def test_which_builds_are_of_one_release(found: str, same: bool) -> None:
    assert same_release(found, "v1.34.1+k3s1") == same


def test_a_node_says_which_build_it_is() -> None:
    state = CHECK.probe().parse(node(version="v1.34.1+k3s1-standin"))
    assert CHECK.says(state) == "Ready, v1.34.1+k3s1-standin"


def test_a_node_without_conditions_is_not_ready() -> None:
    bare = {"metadata": {"name": "one"}, "status": {}}
    assert node_state(bare) == NodeState(present=True, reason="it has no Ready condition")


def test_a_node_of_both_families_has_both_addresses() -> None:
    document = json.loads(node())
    found = document["items"][1]["status"]["addresses"]
    found.insert(1, {"type": "InternalIP", "address": "fd00::1"})
    both = NodeReady("one", "v1.34.1+k3s1", ("10.0.0.1", "fd00::1"), server=True)
    now = both.probe().parse(json.dumps(document).encode())
    assert now.addresses == ("10.0.0.1", "fd00::1")
    assert both.diff(now) is None
    problem = both.diff(replace(now, addresses=("10.0.0.1",)))
    assert problem is not None
    assert problem.text == "node one has the address 10.0.0.1, not 10.0.0.1 and fd00::1"
