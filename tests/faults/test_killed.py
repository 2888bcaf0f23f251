"""P1: kill it at any moment, run it again, and the hosts are as if nothing had happened."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest

from tests.faults import audit, trees
from tests.faults.killing import DELAYS, Point, kill_at, kill_in_any, points
from tests.faults.tally import FULL, Row, Tally, amount
from tests.faults.undisturbed import Story, story
from tests.lab.lab import Lab
from tests.lab.operators import lock_file
from tests.lab.product import Product
from tests.lab.test_interruption import settle

SEED = os.environ.get("K3S_TUI_FAULTS_SEED", "1")
"""Another seed kills elsewhere."""


@pytest.fixture
def told(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return story(lab, tmp_path_factory.mktemp("operators"))


def another(told: Story) -> Product:
    """One more operator of the same secrets, whose store is as private as the first one's."""
    product = told.operators.another()
    (product.folder / "lab.secrets").chmod(0o600)
    return product


def goes_on(lab: Lab, product: Product, told: Story, row: Row, killed: list[Point]) -> None:
    """The next run ends it; the hosts are those of the undisturbed run; one more does nothing."""
    done = product.apply()
    assert done.status == 0, (killed, done)
    settle(lab, 30)
    tree = trees.tree(lab) | trees.laptop(product.folder)
    different = trees.differences(told.tree, tree)
    row.lost += len(different)
    assert not different, killed
    before = audit.state(lab)
    third = product.apply()
    assert (third.status, third.events[-1]["changed"]) == (0, 0), (killed, third)
    assert not list(audit.moved(before, audit.state(lab))), killed
    row.survived += len(killed)


def test_killed_in_every_step(lab: Lab, told: Story, tally: Tally) -> None:
    """Of the procedure on real hosts, whatever the step is; one after the other, so that each run
    gets further than the one before.  In `make test`: in some of those that change something.
    """
    begun = {event["step"] for event in told.apply.of("step-started")}
    acting = sorted(told.apply.steps("changed"))
    assert begun >= {*acting} and len(begun) > 40
    left = set(begun) if FULL else set(random.Random(SEED).sample(acting, 3))
    row = tally("P1", "kill -9 of apply in steps of the whole procedure")
    wanted = len(left)
    for _ in range(amount(2, 12)):
        lab.fresh()
        product = another(told)
        killed: list[Point] = []
        while left:
            # A step that was killed where it began is the next one's first: never for ever.
            delay = DELAYS[len(killed) % len(DELAYS)]
            step = kill_in_any(product, left, delay)
            if not step:
                break
            left.remove(step)
            killed.append(Point("step-started", step, 1, delay))
            row.injected += 1
        if killed:
            goes_on(lab, product, told, row, killed)
        if not left:
            break
    row.note = f"in {wanted - len(left)} of {len(begun)} steps, seed {SEED}"
    assert not left


@pytest.mark.full
def test_killed_again_and_again(lab: Lab, told: Story, tally: Tally) -> None:
    """Each run gets further than the one before, and no further."""
    row = tally("P1", "kill -9 of apply, again and again")
    row.note = f"seed {SEED}"
    for number in range(5):
        lab.fresh()
        product = another(told)
        acting = [event for event in told.apply.events if _acts(told, event.get("step", ""))]
        # Of a step's lines, a second run has others: the first one comes for certain.
        chosen = [replace(point, nth=1) for point in points(acting, 6, f"{SEED}.{number}")]
        killed = [point for point in chosen if kill_at(product, point)]
        row.injected += len(killed)
        assert killed, chosen
        goes_on(lab, product, told, row, killed)


@pytest.mark.full
def test_killed_anywhere(lab: Lab, told: Story, tally: Tally) -> None:
    row = tally("P1", "kill -9 of apply, from bare hosts")
    row.note = f"seed {SEED}"
    for point in points(told.apply.events, 32, SEED):
        lab.fresh()
        product = another(told)
        if kill_at(product, point):
            row.injected += 1
            goes_on(lab, product, told, row, [point])
    assert row.injected >= 30


def _acts(told: Story, step: str) -> bool:
    return step in told.apply.steps("changed")


def test_the_trees_tell_what_differs(lab: Lab, told: Story) -> None:
    """A tree that saw nothing would find no difference either."""
    host = lab.host("nginx")
    if not trees.facts(host).keys() & {"unit k3s-tui-lb.service enabled"}:
        assert told.product.apply().status == 0
    before = trees.tree(lab) | trees.laptop(told.product.folder)
    lock = lock_file(told.product)
    locked = lock.read_bytes()
    host.sh("cp -p /etc/nginx/k3s-tui-lb.conf /run/; chmod 600 /etc/nginx/k3s-tui-lb.conf")
    lab.host("postgres").sh("cd /; runuser -u postgres -- psql -XAtqc 'create role somebody'")
    lab.host("k3s-agent").sh("echo x >>/etc/hosts; : >/etc/k3s-tui.tmp")
    lock.write_bytes(locked + b"\n")
    after = trees.tree(lab) | trees.laptop(told.product.folder)
    lab.host("k3s-agent").sh("sed -i '$d' /etc/hosts; rm /etc/k3s-tui.tmp")
    lab.host("postgres").sh("cd /; runuser -u postgres -- psql -XAtqc 'drop role somebody'")
    host.sh("chmod 644 /etc/nginx/k3s-tui-lb.conf")
    lock.write_bytes(locked)
    assert [line.partition(": ")[0] for line in trees.differences(before, after)] == [
        "k3s-agent:/etc/hosts",
        "k3s-agent:/etc/k3s-tui.tmp",
        "laptop:lab.lock.toml",
        "nginx:/etc/nginx/k3s-tui-lb.conf",
        "postgres#database role|somebody|f|f|f|f",
    ]
