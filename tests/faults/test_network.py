"""P2: a cut, stalled or half-closed network in any step is survived, or ended with its cause."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.fleet import HOSTS, KILLED, Ended, Fleet, held, running_fleet
from tests.faults.network_run import ENDED_BEFORE
from tests.faults.relay import DIRECTIONS, KINDS, Direction, Fault, Kind, Relay
from tests.faults.tally import FULL, Row, Tally, amount
from tests.faults.test_killed_fleet import ACTS
from tests.lab import paths

PROMISED = 5.0
"""Seconds after which a run goes on, once the network is back."""
LOADED = 0.0 if FULL else 5.0
"""Seconds more, for a machine that has other things to do, as it has in `make test`."""

LOST_AFTER = 10.0
"""Seconds of silence after which a connection counts as lost."""

pytestmark = pytest.mark.timeout(14_400 if FULL else 400)


@dataclass
class Network:
    """A fleet behind relays.  `planned` and `whole` count the bytes of an undisturbed run by host
    and direction: until its plan was made, and in all."""

    fleet: Fleet
    relays: dict[str, Relay]
    tree: dict[str, str]
    planned: dict[str, dict[Direction, int]]
    whole: dict[str, dict[Direction, int]]

    def fresh(self, faults: Mapping[str, Fault]) -> None:
        for name, relay in self.relays.items():
            relay.arm(faults.get(name))
        self.fleet.settle()
        self.fleet.fresh()

    def start(self, *, within: int = 120) -> subprocess.Popen[str]:
        """An apply whose steps have so many seconds each."""
        (self.fleet.laptop / "run" / "events.jsonl").unlink(missing_ok=True)
        return subprocess.Popen(
            [
                sys.executable,
                *("-m", "tests.faults.network_run", str(self.fleet.root), str(within)),
            ],
            cwd=paths.REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, run: subprocess.Popen[str]) -> Ended:
        try:
            _, err = run.communicate(timeout=300)
        finally:
            run.kill()
        lines = (self.fleet.laptop / "run" / "events.jsonl").read_text().splitlines()
        return Ended(run.returncode, [json.loads(line) for line in lines], err)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet, ExitStack() as relays:
        told = json.loads((fleet.root / "fleet.json").read_text())
        made = {name: relays.enter_context(Relay(port)) for name, port in told["ports"].items()}
        told["ports"] = {name: relay.port for name, relay in made.items()}
        (fleet.root / "fleet.json").write_text(json.dumps(told))
        found = Network(fleet, made, {}, {}, {})
        ended = found.ended(found.start())
        assert ended.status == 0, ended
        found.whole = {name: dict(relay.passed) for name, relay in made.items()}
        fleet.settle()
        assert fleet.acts() == ACTS
        found.tree = fleet.tree()
        found.fresh({})
        first = next(e["seq"] for e in ended.events if e["type"] == "step-started")
        assert fleet.apply(first).status == KILLED
        found.planned = {name: dict(relay.passed) for name, relay in made.items()}
        yield found


def disturbed(network: Network, row: Row, faults: Mapping[str, Fault]) -> None:
    """One run with these faults, each on one host, and whatever it takes to come to the end."""
    network.fresh(faults)
    ended = network.ended(network.start())
    survives(network, row, ended, " · ".join(f"{name}: {one}" for name, one in faults.items()))


def survives(network: Network, row: Row, ended: Ended, what: str) -> None:
    """It went on, or said why not before it touched anything; and all is as without a fault."""
    fleet = network.fleet
    fired = {name: relay for name, relay in network.relays.items() if relay.fired}
    row.injected += len(fired)
    assert "Traceback" not in ended.err, (what, ended)
    for name, relay in fired.items():
        _until(lambda relay=relay: relay.back is not None)
        _in_time(name, relay, ended, row, what)
    for relay in network.relays.values():
        relay.arm(None)
    if ended.status:
        assert ended.status == ENDED_BEFORE, (what, ended)
        assert not any(e["type"] == "step-started" for e in ended.events), (what, ended)
        assert any(f"error: {name}: " in ended.err for name in fired), (what, ended)
        assert "\ntry: " in ended.err, (what, ended)
        fleet.settle()
        assert not any(fleet.acts().values()), what
        again = network.ended(network.start())
        assert again.status == 0, (what, again)
    fleet.settle()
    assert fleet.acts() == ACTS, what
    tree = fleet.tree()
    different = sorted(name for name, _ in tree.items() ^ network.tree.items())
    row.lost += len(different)
    assert not different, what
    if FULL:
        third = network.ended(network.start())
        assert (third.status, third.changed) == (0, set()), (what, third)
    row.survived += len(fired)


def _in_time(name: str, relay: Relay, ended: Ended, row: Row, what: str) -> None:
    """It went on soon after the network was back: connected again, where the connection was lost,
    and else by the next word of the host, if it was at work."""
    states = [e for e in ended.events if e["type"] == "host-state" and e["host"] == name]
    assert relay.fired is not None and relay.back is not None
    lost = [e["t"] for e in states if e["state"] == "lost" and e["t"] >= relay.fired - 0.5]
    again = [e["t"] for e in states if e["state"] == "connected" and lost and e["t"] > lost[0]]
    if lost and not again:
        assert ended.status, (what, "lost, and went on without it", ended)
        return
    if not lost:
        if not _at_work(name, relay.back, ended):
            return
        late = _next_word(name, relay.back, ended) - relay.back
    else:
        # Silence has to last for some time until it means anything.
        late = again[0] - max(relay.back, lost[0])
        noticed = lost[0] - relay.fired
        if _at_work(name, relay.fired, ended):  # a host without work is missed when it has some
            assert noticed < LOST_AFTER + max(LOADED, 1.0), (what, noticed)
    assert late < PROMISED + LOADED, (what, late)
    longest = max(late, float(row.note.split()[1]) if row.note else 0.0)
    row.note = f"within {longest:.1f} s of the network's return, at the latest"


def _next_word(name: str, since: float, ended: Ended) -> float:
    """When the host was next heard of; never, when it was not."""
    return min(
        (e["t"] for e in ended.events if e.get("host") == name and e["t"] >= since),
        default=float("inf"),
    )


def _at_work(name: str, moment: float, ended: Ended) -> bool:
    """Whether a step was under way on the host then."""
    begun = {e["step"] for e in _steps(ended, "step-started", name) if e["t"] < moment}
    over = {e["step"] for e in _steps(ended, "step-done", name) if e["t"] < moment}
    return bool(begun - over)


def _steps(ended: Ended, kind: str, name: str) -> list[dict[str, Any]]:
    return [e for e in ended.events if e["type"] == kind and e["host"] == name]


def _fault(chosen: random.Random, kind: Kind, low: Mapping[Direction, int], high: Any) -> Fault:
    direction = chosen.choice(DIRECTIONS)
    longest = {"freeze": 14, "drop": 14, "half-close": 0}.get(kind, 6)
    seconds = round(chosen.uniform(0, longest), 1)
    return Fault(kind, direction, chosen.randint(low[direction], high[direction]), seconds)


def test_before_the_run(network: Network, tally: Tally) -> None:
    """While it logs in, locks and looks: mended there, or told before anything was touched."""
    row = tally("P2", "the network spoiled at a byte of a login or a look")
    start: Mapping[Direction, int] = {"up": 1, "down": 1}
    for number in range(amount(5, 80)):
        chosen = random.Random(f"before {number}")
        host = chosen.choice(HOSTS)
        fault = _fault(chosen, KINDS[number % len(KINDS)], start, network.planned[host])
        disturbed(network, row, {host: fault})
    assert row.injected >= amount(4, 60)


def test_in_the_run(network: Network, tally: Tally) -> None:
    """Each host's network in another way, all in the same run."""
    row = tally("P2", "the network spoiled at a byte of a run")
    for number in range(amount(2, 40)):
        chosen = random.Random(f"in {number}")
        kinds = chosen.sample(KINDS, len(KINDS))
        disturbed(
            network,
            row,
            {
                name: _fault(chosen, kind, network.planned[name], network.whole[name])
                for name, kind in zip(HOSTS, kinds, strict=True)
            },
        )
    assert row.injected >= amount(5, 120)


@pytest.mark.parametrize(
    ("kind", "direction"),
    list(itertools.product(KINDS, DIRECTIONS)) if FULL else [("reset", "up"), ("drop", "down")],
)
def test_in_a_durable_job(network: Network, tally: Tally, kind: Kind, direction: Direction) -> None:
    """An installation goes on without us, and is found again; it is not begun twice."""
    row = tally("P2", "the network spoiled in a durable job")
    for meanwhile in (True, False)[: amount(1, 2)]:
        network.fresh({})
        hold = held(network.fleet.root, "postgres")
        hold.unlink()
        hold.mkdir()  # which a run cannot lift, as it does with a file
        run = network.start()
        jobs = network.fleet.root / "postgres" / "run" / "k3s-tui" / "jobs"
        _until(lambda jobs=jobs: any("unpacking" in log.read_text() for log in jobs.glob("*/log")))
        relay = network.relays["postgres"]
        relay.strike(Fault(kind, direction, 0, 0 if kind == "half-close" else 4))
        _until(lambda relay=relay: relay.fired is not None)
        if not meanwhile:
            _until(lambda relay=relay: relay.back is not None)
        hold.rmdir()
        ended = network.ended(run)
        assert ended.status == 0, ended
        survives(network, row, ended, f"{kind} {direction}, it ends meanwhile: {meanwhile}")


def test_all_networks_are_back(network: Network, tally: Tally) -> None:
    """The operator's own network is gone for a while.  Pauses that double would last on."""
    row = tally("P2", "every host out of reach for 17.5 s")
    network.fresh({})
    run = network.start()
    events = network.fleet.laptop / "run" / "events.jsonl"
    _until(lambda: events.exists() and '"step-started"' in events.read_text())
    for relay in network.relays.values():
        relay.strike(Fault("reset", "up", 0, 17.5))
    ended = network.ended(run)
    assert ended.status == 0, ended
    survives(network, row, ended, "all")
    assert row.injected >= 2 and row.note


def test_a_network_that_stays_away(network: Network, tally: Tally) -> None:
    """The step ends by its deadline and says why, of which host; a later run goes on from there."""
    row = tally("P2", "the network gone for longer than a step has")
    within = 20
    for number in range(amount(1, 4)):
        kind: Kind = ("reset", "drop", "freeze", "truncate")[number]
        name = ("postgres", "server-1", "nginx", "agent")[number]
        at = (network.planned[name]["up"] + network.whole[name]["up"]) // 2
        network.fresh({name: Fault(kind, "up", at, 600)})
        ended = network.ended(network.start(within=within))
        row.injected += 1
        assert ended.status == 1 and "Traceback" not in ended.err, (name, ended)
        failed = [e for e in ended.events if e.get("outcome") == "failed"]
        assert failed and {e["host"] for e in failed} == {name}, ended
        for event in failed:
            assert event["error"].startswith(
                f"not done within {within} s: no connection to the host"
            ), event
            # It may have queued behind another step of the host, which has its own time.
            assert event["seconds"] < 2 * within + LOADED, event
        for relay in network.relays.values():
            relay.arm(None)
        network.fleet.settle()
        again = network.ended(network.start())
        assert again.status == 0, again
        network.fleet.settle()
        assert network.fleet.acts() == ACTS
        assert network.fleet.tree() == network.tree
        row.survived += 1


def _until(condition: Any, within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
