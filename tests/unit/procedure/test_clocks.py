"""How far clocks may be apart, and whose is to blame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec
import pytest

from k3s_tui.procedure.clocks import clock
from k3s_tui.profile.model import HostEntry, Profile
from tests.unit.procedure.sites import HOW_TO, site

Verdict: TypeAlias = Literal["warn", "stop"]
AGENT, DATASTORE = "k3s-agent", "postgres"

Clocks: TypeAlias = Mapping[str, tuple[float, float] | None]


def told(clocks: Clocks, profile: Profile = HOW_TO) -> dict[str, tuple[Verdict, str]]:
    found = {name: clock(site(profile, clocks=clocks), name) for name in profile.hosts}
    return {
        name: ("warn" if found.warning else "stop", found.text)
        for name, found in found.items()
        if found is not None
    }


@pytest.mark.parametrize(
    ("clocks", "expected"),
    [
        ({AGENT: (1.0, 0.6)}, {}),
        ({AGENT: (5.0, 0.6)}, {AGENT: ("warn", "its clock is 5 s ahead of that of k3s-server-1")}),
        ({AGENT: (-5.0, 0.6)}, {AGENT: ("warn", "its clock is 5 s behind that of k3s-server-1")}),
        (
            {AGENT: (31.0, 0.6)},
            {AGENT: ("stop", "its clock is 31 s ahead of that of k3s-server-1")},
        ),
        ({AGENT: (-45.0, 0.6)}, {AGENT: ("stop", "its clock is 45 s behind that of k3s-server-1")}),
        # It answered so slowly that it may well be right.
        ({AGENT: (5.0, 4.0)}, {}),
        (
            {AGENT: (31.0, 2.0)},
            {AGENT: ("warn", "its clock is 31 s ahead of that of k3s-server-1")},
        ),
        ({AGENT: None}, {AGENT: ("warn", "it does not say its time")}),
        # One ahead and one behind: each is near the middle, and they are far from each other.
        (
            {AGENT: (20.0, 0.6), DATASTORE: (-20.0, 0.6)},
            {
                AGENT: ("stop", "its clock is 40 s ahead of that of postgres"),
                DATASTORE: ("stop", "its clock is 40 s behind that of k3s-agent"),
            },
        ),
    ],
)
def test_clocks(clocks: Clocks, expected: dict[str, tuple[Verdict, str]]) -> None:
    assert told(clocks) == expected


def test_of_two_hosts_one_is_stopped() -> None:
    two = {
        "a": HostEntry(address="10.0.0.1", roles=["server", "datastore"]),
        "b": HostEntry(address="10.0.0.2", roles=["loadbalancer"]),
    }
    found = told({"a": (0.0, 0.6), "b": (40.0, 0.6)}, msgspec.structs.replace(HOW_TO, hosts=two))
    assert list(found.values()) == [("stop", "its clock is 40 s ahead of that of a")]


def test_a_laptop_with_another_time() -> None:
    """Certificates are dated on it: they would have ended, or not have begun, on every host."""
    everywhere = dict.fromkeys(HOW_TO.hosts, (600.0, 0.6))
    found = told(everywhere)
    assert set(found) == set(HOW_TO.hosts)
    text = "its clock is 10 min ahead of this machine's, by which certificates are dated"
    assert set(found.values()) == {("stop", text)}
    assert not told(dict.fromkeys(HOW_TO.hosts, (300.0, 0.6)))
    assert not told(dict.fromkeys(HOW_TO.hosts, (-2400.0, 0.6)))
    assert told(dict.fromkeys(HOW_TO.hosts, (-3600.0, 0.6)))
