"""P1: kill it at any moment, run it again, and the hosts are as if nothing had happened."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.faults import audit, trees
from tests.faults.killing import Point, kill_at, points
from tests.faults.tally import Row, Tally, amount
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


def test_killed_again_and_again(lab: Lab, told: Story, tally: Tally) -> None:
    """Each run gets further than the one before, and no further."""
    row = tally("P1", "kill -9 of apply, again and again")
    row.note = f"seed {SEED}"
    for number in range(amount(1, 5)):
        lab.fresh()
        product = another(told)
        acting = [event for event in told.apply.events if _acts(told, event.get("step", ""))]
        # Of a step's lines, a second run has others: the first one comes for certain.
        chosen = [
            replace(point, nth=1) for point in points(acting, amount(3, 6), f"{SEED}.{number}")
        ]
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
