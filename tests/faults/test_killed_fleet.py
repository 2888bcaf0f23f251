"""P1 on a fast fleet: killed exactly at any event, also twice, and run again at once."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.fleet import KILLED, Ended, Fleet, running_fleet
from tests.faults.tally import FULL, Row, Tally, amount

ACTS = {
    "postgres": [
        "install postgresql",
        "install postgresql-common",
        "restart postgresql.service",
    ],
    "server-1": ["restart k3s.service"],
    "server-2": ["restart k3s.service"],
    "nginx": ["install nginx", "install nginx-common", "restart k3s-tui-lb.service"],
    "agent": ["restart k3s-agent.service"],
}
"""Each once: a durable job and a restart are acts that are not to be repeated."""


@dataclass(frozen=True)
class Undisturbed:
    fleet: Fleet
    ended: Ended
    tree: dict[str, str]
    moments: list[str]
    """In the hands, between a step's beginning and its end: see `fleet_run`."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        ended = fleet.apply()
        assert ended.status == 0, ended
        fleet.settle()
        assert fleet.acts() == ACTS
        yield Undisturbed(fleet, ended, fleet.tree(), fleet.moments())


def killed(told: Undisturbed, row: Row, kills: Sequence[int | str]) -> None:
    """Killed there, one run after the other; then one to the end, and one that does nothing."""
    fleet = told.fleet
    fleet.settle()
    fleet.fresh()
    injected = 0
    restarted: set[str] = set()
    for number in kills:
        ended = fleet.apply(number)
        if ended.status == 0:
            break
        assert ended.status == KILLED, (number, ended)
        injected += 1
        restarted |= _within_services(ended)
    row.injected += injected
    done = fleet.apply()
    assert done.status == 0, (kills, done)
    fleet.settle()
    tree = fleet.tree()
    different = {
        path: (told.tree.get(path), tree.get(path))
        for path in told.tree.keys() | tree.keys()
        if told.tree.get(path) != tree.get(path)
    }
    row.lost += len(different)
    assert not different, kills
    _acted_once(fleet.acts(), restarted, kills)
    moved = fleet.moved()
    third = fleet.apply()
    assert (third.status, third.changed) == (0, set()), (kills, third)
    assert fleet.moved() == moved, kills
    row.survived += injected


def _within_services(ended: Ended) -> set[str]:
    """Hosts where a unit was being started, or had just been: its stamp may be missing."""
    begun = {e["step"]: e["host"] for e in ended.events if e["type"] == "step-started"}
    for event in ended.events:
        if event["type"] == "step-done":
            begun.pop(event["step"], None)
    return {host for step, host in begun.items() if step.endswith(("/service", "/k3s"))}


def _acted_once(acts: dict[str, list[str]], restarted: set[str], kills: Sequence[object]) -> None:
    for host, wanted in ACTS.items():
        if host in restarted:  # killed between a restart and its stamp: who knows what is loaded
            assert set(acts[host]) == set(wanted), kills
            once = [act for act in acts[host] if act.startswith("install")]
            assert len(once) == len(set(once)), (kills, acts[host])
            assert len(acts[host]) - len(wanted) <= len(kills), (kills, acts[host])
        else:
            assert acts[host] == wanted, (kills, host)


@pytest.mark.timeout(14_400 if FULL else 400)
def test_killed_at_events(undisturbed: Undisturbed, tally: Tally) -> None:
    row = tally("P1", "kill -9 at events of an apply to a fleet")
    last = len(undisturbed.ended.events)
    numbers = st.integers(min_value=1, max_value=last)

    @settings(
        max_examples=amount(4, 60),
        deadline=None,
        database=None,
        derandomize=not FULL,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(numbers, min_size=1, max_size=3))
    def at(kills: list[int]) -> None:
        killed(undisturbed, row, kills)

    at()
    assert row.injected >= 3


@pytest.mark.full
def test_killed_at_every_event(undisturbed: Undisturbed, tally: Tally) -> None:
    row = tally("P1", "kill -9 at every event of an apply to a fleet")
    for number in range(1, len(undisturbed.ended.events) + 1):
        killed(undisturbed, row, [number])


@pytest.mark.timeout(14_400 if FULL else 400)
def test_killed_between_an_act_and_its_result(undisturbed: Undisturbed, tally: Tally) -> None:
    """The host has done it, and nobody knows; or is just about to be told."""
    row = tally("P1", "kill -9 before and after each script that a step of the fleet runs")
    moments = undisturbed.moments
    seen = {moment.split()[0] for moment in moments}
    assert {step for step in undisturbed.ended.changed if "laptop/" not in step} <= seen
    assert {"laptop/RecordedSums", "laptop/LocalFile"} <= seen
    chosen = [moment for moment in moments if moment.endswith("after")]
    for moment in moments if FULL else random.Random("moments").sample(chosen, 3):
        before = row.injected
        killed(undisturbed, row, [moment])
        assert row.injected == before + 1, f"{moment} did not come"
    services = [m for m in chosen if m.split()[0].endswith(("/k3s", "/service"))]
    for first, second in itertools.pairwise(services) if FULL else ():
        killed(undisturbed, row, [first, second])


def test_the_tree_tells_what_differs(undisturbed: Undisturbed, tmp_path: Path) -> None:
    fleet = undisturbed.fleet
    fleet.settle()
    before, moved = fleet.tree(), fleet.moved()
    spoiled = fleet.root / "nginx" / "mnt" / "lb.conf"
    text = spoiled.read_bytes()
    spoiled.write_bytes(text + b"x")
    try:
        assert before.items() - fleet.tree().items() == {("nginx:lb.conf", before["nginx:lb.conf"])}
        assert dict(moved.items() - fleet.moved().items()).keys() == {str(spoiled)}
    finally:
        spoiled.write_bytes(text)
