"""P5: two operators cannot collide: one is told who and since when, and is let in once the other
one's tool is gone, however it went.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.faults.tally import FULL, Tally, amount
from tests.lab.lab import Lab
from tests.lab.operators import Operators, changes, snapshot
from tests.lab.product import Done, Product
from tests.lab.test_interruption import Running, running, settle

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
LOCK = "/run/k3s-tui/lock"

FREED = 1.0 if FULL else 5.0
"""Seconds after a killed holder's connections end; more for a machine that has other things to do,
as it has in `make test`."""


@pytest.fixture(scope="module")
def operators(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operators:
    return Operators(bare_hosts, tmp_path_factory.mktemp("operators"))


@contextmanager
def slow_host(lab: Lab, name: str) -> Iterator[None]:
    """Looking at this host takes until the context ends, or a minute."""
    lab.host(name).sh(
        """
        : >/run/held
        cat >/usr/local/bin/nproc <<'SHIM'
#!/bin/sh
tries=0
while [ -e /run/held ] && [ $tries -lt 600 ]; do tries=$((tries + 1)); sleep 0.1; done
echo 2
SHIM
        chmod 755 /usr/local/bin/nproc
        """
    )
    try:
        yield
    finally:
        lab.host(name).sh("rm -f /usr/local/bin/nproc /run/held")


def holds_all(run: Running) -> str:
    """Wait until it has the locks of all hosts; the run's name."""
    run.until(lambda done: len(done.of("host-state", state="connected")) == 6)
    return str(run.so_far.events[0]["run"])


def told_who(done: Done, run: str, *places: str) -> None:
    """It was refused, and says by whose run and since when."""
    assert done.status == 7, done
    stamp = f"{run[:4]}-{run[4:6]}-{run[6:8]} {run[9:11]}:{run[11:13]}:{run[13:15]} UTC"
    assert re.fullmatch(MOMENT, stamp)
    for place in places:
        wanted = rf"{re.escape(place)}: {run} by root@\S+ since {stamp}"
        assert re.search(wanted, done.err), (wanted, done)
    assert "\ntry: " in done.err and "Traceback" not in done.err, done


@contextmanager
def freed(lab: Lab) -> Iterator[dict[str, float]]:
    """When each host's lock was free, by the machine's one clock; filled when the context ends."""
    script = f"echo waiting; exec flock {LOCK} date +%s.%N"
    waiting = {
        name: subprocess.Popen(
            host.enter("/bin/sh", "-c", script),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        for name, host in lab.containers.items()
    }
    moments: dict[str, float] = {}
    try:
        for process in waiting.values():
            assert process.stdout is not None and process.stdout.readline() == "waiting\n"
        yield moments
        for name, process in waiting.items():
            out, _ = process.communicate(timeout=30)
            moments[name] = float(out)
    finally:
        for process in waiting.values():
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def test_a_killed_holder_and_the_next(operators: Operators, bare_hosts: Lab, tally: Tally) -> None:
    row = tally("P5", "kill -9 of the tool while it holds every lock")
    lab, first, colleague = bare_hosts, operators.another(), operators.another()
    before = snapshot(lab)
    slowest = 0.0
    for _ in range(amount(1, 12)):
        with slow_host(lab, "nginx"), running(first) as holder:
            run = holds_all(holder)
            same, other = first.apply(), colleague.apply()
            told_who(same, run, "another run of this profile is under way on this machine")
            told_who(
                other, run, *(f"{n}: another run holds this host's lock" for n in lab.containers)
            )
            with freed(lab) as moments:
                killed = time.time()
                holder.send(signal.SIGKILL)
                # The kernel has closed its connections by the time that it can be waited for.
                holder.process.wait(10)
                gone = time.time()
            row.injected += 1
            assert set(moments) == set(lab.containers)
            slowest = max(slowest, *(moment - gone for moment in moments.values()))
            # Nobody was let in before: the lock was really held, and by whom we killed.
            assert all(moment > killed for moment in moments.values()), moments
            assert slowest < FREED, moments
        # Both are let in at once, one after the other: neither lock remembers the dead.
        for product in (colleague, first):
            _gets_all(product, lab)
        row.survived += 1
    row.note = f"free {slowest:.2f} s after the holder's end, at the latest"
    assert not changes(before, snapshot(lab))


def _gets_all(product: Product, lab: Lab) -> None:
    with slow_host(lab, "nginx"), running(product) as run:
        holds_all(run)
        run.send(signal.SIGINT)
        assert run.ended(30).status == 130
    settle(lab, 30)


def test_one_of_many_wins(operators: Operators, bare_hosts: Lab, tally: Tally) -> None:
    """All at the same moment: one has every host, or nobody has any; no two ever share one.

    Who does not get through is told whose run has a lock, and the next one gets them all.
    """
    row = tally("P5", "operators that begin at the same moment")
    lab = bare_hosts
    products = [operators.another() for _ in range(amount(2, 4))]
    with slow_host(lab, "nginx"):
        runs = [Running(product) for product in products]
        try:
            for run in runs:
                run.until(
                    lambda done: (
                        done.of("run-done") or len(done.of("host-state", state="connected")) == 6
                    ),
                    within=60,
                )
            names = {str(run.so_far.events[0]["run"]) for run in runs}
            ended = [run for run in runs if run.so_far.of("run-done")]
            held = [run for run in runs if run not in ended]
            assert len(held) <= 1, [run.so_far for run in held]
            for run in ended:
                _told_of_another(run.ended(30), names)
            row.injected += len(runs)
        finally:
            for run in runs:
                if run.process.poll() is None:
                    run.send(signal.SIGINT)
                run.ended(30)
    settle(lab, 30)
    _gets_all(products[0], lab)
    row.survived += len(runs)
    row.note = f"{len(held)} of {len(runs)} went on in the last round, and the next one alone"


def _told_of_another(done: Done, names: set[str]) -> None:
    """The loser of a race: every lock that it did not get is one of the others'."""
    own = str(done.events[0]["run"])
    assert done.status == 7, done
    told = re.findall(rf"lock: (\S+) by root@\S+ since {MOMENT}", done.err)
    assert told and set(told) <= names - {own}, (told, names, done)
