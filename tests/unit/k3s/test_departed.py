"""Nodes that are in the cluster, and not in the profile any more."""

from __future__ import annotations

import json

import pytest

from k3s_tui.resources.k3s.departed import NoneDeparted

CHECK = NoneDeparted(
    frozenset({"agent-2", "postgres"}), {"server-1": ("10.0.0.1",), "worker": ("10.0.0.3",)}
)


def nodes(**addresses: str) -> bytes:
    items = [
        {
            "metadata": {"name": name.replace("_", "-")},
            "status": {"addresses": [{"type": "InternalIP", "address": address}]},
        }
        for name, address in addresses.items()
    ]
    return json.dumps({"items": items}).encode()


def told(out: bytes) -> str:
    problem = CHECK.diff(CHECK.probe().parse(out))
    return problem.text if problem else ""


def test_all_nodes_are_in_the_profile_or_somebody_elses() -> None:
    assert told(nodes(server_1="10.0.0.1", worker="10.0.0.3", foreign="10.0.0.99")) == ""


@pytest.mark.parametrize("out", [b"", b"error: refused", b"[]", b"{}", b'{"items": null}'])
def test_a_cluster_that_does_not_answer_tells_nothing(out: bytes) -> None:
    assert told(out) == ""


def test_one_that_was_taken_out_is_named() -> None:
    assert told(nodes(server_1="10.0.0.1", agent_2="10.0.0.2")).endswith("cluster: agent-2")


def test_one_that_was_renamed_is_named_by_both() -> None:
    said = told(nodes(server_1="10.0.0.1", agent_2="10.0.0.3"))
    assert said.endswith("agent-2 (now called worker in the profile)")
