"""What is told of one host, seen alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k3s_tui.procedure.probing import judge
from k3s_tui.procedure.targets import Look
from k3s_tui.profile.load import check
from k3s_tui.profile.model import Profile
from tests.unit.procedure.sites import GIB, HOW_TO, facts_of


def told(
    name: str,
    profile: Profile = HOW_TO,
    clock: tuple[float, float] | None = (0.0, 0.6),
    **facts: Any,
) -> dict[str, str]:
    """Severity by text."""
    look = Look(replace(facts_of(HOW_TO, name), **facts), clock, b"")
    found = judge(profile, Path("new.toml"), name, look)
    assert all(one.fix for one in found)
    return {one.text: one.severity for one in found}


def test_a_good_host_has_nothing_to_tell() -> None:
    for name in HOW_TO.hosts:
        assert told(name) == {}


@pytest.mark.parametrize(
    ("name", "facts", "text", "severity"),
    [
        ("k3s-server-1", {"memory_kib": GIB}, "1024 MiB", "error"),
        ("k3s-server-1", {"cloud_init_manages_hosts": True}, "cloud-init", "error"),
        ("postgres", {"init": "openrc"}, "not systemd", "error"),
        ("k3s-agent", {"cgroup": "v1"}, "cgroup", "error"),
        ("k3s-agent", {"k3s_role": "server"}, "as server", "error"),
        ("k3s-agent", {"k3s_role": "agent"}, "K3s is there already, as agent", "note"),
        ("k3s-server-1", {"k3s_version": "v1.36.3+k3s1"}, "K3s v1.36.3+k3s1 is there", "note"),
        ("nginx", {"k3s_leftovers": ("/etc/rancher/k3s",)}, "/etc/rancher/k3s", "note"),
    ],
)
def test_what_one_host_shows(name: str, facts: dict[str, Any], text: str, severity: str) -> None:
    (found,) = told(name, **facts).items()
    assert text in found[0] and found[1] == severity


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ((5.5, 0.6), {}),
        ((-6.0, 0.6), {"its clock is 6 s behind this machine's": "note"}),
        ((31.0, 0.6), {"its clock is 31 s ahead of this machine's": "warning"}),
        ((31.0, 20.0), {"its clock is 31 s ahead of this machine's": "note"}),
        (None, {"it does not say its time": "warning"}),
    ],
)
def test_clocks(clock: tuple[float, float] | None, expected: dict[str, str]) -> None:
    assert told("nginx", clock=clock) == expected


def test_a_clock_that_the_plan_refuses_is_told_once() -> None:
    (severity,) = told("nginx", clock=(3600.0, 0.6)).values()
    assert severity == "error"


def test_a_draft_that_lacks_everything_else_is_judged_as_far_as_it_goes() -> None:
    document = {"hosts": {"k3s-agent": {"address": "10.161.129.196", "roles": ["agent"]}}}
    profile = check(document).profile
    assert told("k3s-agent", profile) == {}
    assert list(told("k3s-agent", profile, memory_kib=1024).values()) == ["error"]
