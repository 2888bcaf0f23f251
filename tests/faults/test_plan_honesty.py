"""P4: what changes was planned, and what was planned happens."""

from __future__ import annotations

import pytest

from tests.faults.audit import Desk, State, desk, state
from tests.faults.killing import Point, kill_at
from tests.faults.ownership import Audit, Event, leaves_a_trace, objects, unkept
from tests.faults.tally import Row, Tally
from tests.faults.undisturbed import Story, story
from tests.lab.lab import Lab
from tests.lab.product import Done, Product
from tests.lab.test_interruption import settle

DRIFT = {
    "postgres": (
        "sed -i 's|10.161.129.54/32 scram-sha-256|10.161.129.54/32 trust|'"
        " /etc/postgresql/15/main/pg_hba.conf\n"
        "rm /etc/postgresql/15/main/conf.d/90-k3s-tui.conf\n"
    ),
    "k3s-server-1": "rm /etc/k3s-tui/datastore/current/tls.crt",
    "k3s-server-2": "sed -i '/BEGIN k3s-tui/,/END k3s-tui/d' /etc/hosts",
    "k3s-agent": "echo 'debug: true' >>/etc/rancher/k3s/config.yaml; systemctl disable k3s-agent",
    "nginx": "systemctl stop k3s-tui-lb; rm /etc/logrotate.d/k3s-tui-lb",
}

BY_ITSELF = {"postgres/datastore/cluster"}
"""Debian's package makes a cluster, and starts it, where others leave that to the operator."""


@pytest.fixture
def told(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return story(lab, tmp_path_factory.mktemp("operators"))


@pytest.fixture
def row(tally: Tally) -> Row:
    return tally("P4", "apply to a fresh, a half-done and a drifted cluster")


def planned(done: Done) -> list[Event]:
    return done.of("planned")


def verdicts(done: Done) -> dict[str, str]:
    return {event["step"]: event["verdict"] for event in planned(done)}


LAPTOP = {
    "lab.kubeconfig": "laptop/kubeconfig",
    "lab.lock.toml": "laptop/installation/checksums",
}
"""Whose each file is that a run writes beside the profile."""


def honest(plan: Done, apply: Done, before: State, after: State, desks: tuple[Desk, Desk]) -> None:
    assert apply.status == 0, apply
    # What is shown is what is carried out: the second look, by apply, found the same.
    assert verdicts(plan) == verdicts(apply)
    announced = {s for s, verdict in verdicts(plan).items() if verdict == "change"}
    possible = announced | {s for s, verdict in verdicts(plan).items() if verdict == "later"}
    assert apply.steps("changed") <= possible
    assert announced - apply.steps("changed") <= BY_ITSELF
    audit = Audit(planned(plan), before, after)
    strange = list(audit.strange())
    assert not strange
    # Of whatever step has a trace on a host, it is there.
    traced = {step for step in apply.steps("changed") if leaves_a_trace(step)}
    assert traced <= audit.claimed, traced - audit.claimed
    written = {name for name, _ in desks[1].items() - desks[0].items()}
    assert written <= LAPTOP.keys() and desks[0].keys() <= desks[1].keys()
    for name in written:
        assert any(step.startswith(LAPTOP[name]) for step in possible), name
    broken = list(unkept(planned(plan), before, after))
    assert not broken


def applied(lab: Lab, product: Product, row: Row) -> Done:
    """Plan, apply, and hold the one against the other; what apply said."""
    at_first = desk(product.folder)
    before, plan = state(lab), product.plan()
    apply = product.apply()
    row.injected += 1
    honest(plan, apply, before, state(lab), (at_first, desk(product.folder)))
    row.survived += 1
    return apply


def test_on_a_fresh_cluster(lab: Lab, told: Story, row: Row) -> None:
    row.injected += 1
    honest(told.plan, told.apply, told.bare, told.after, told.desks[:2])
    assert objects(told.after["postgres"]) > 20
    row.survived += 1


def test_on_a_half_done_and_a_drifted_one(lab: Lab, told: Story, row: Row) -> None:
    lab.fresh()
    product = told.operators.another()
    assert kill_at(product, Point("line", "k3s-server-1/servers/k3s", 1, 0.0))
    settle(lab, 60)
    half = applied(lab, product, row)
    assert "k3s-server-2/servers/k3s" in half.steps("changed")
    assert "postgres/datastore/packages" not in half.steps("changed")
    for name, how in DRIFT.items():
        lab.host(name).sh(how)
    mended = applied(lab, product, row)
    assert {step.partition("/")[0] for step in mended.steps("changed")} >= set(DRIFT)


def test_an_unplanned_change_is_seen(lab: Lab, told: Story) -> None:
    """Who plans everything but one thing is found out by each of its traces."""
    for step, trace in (
        ("k3s-server-1/servers/hosts-entry", "k3s-server-1: /etc/hosts"),
        ("nginx/loadbalancer/service", "nginx: k3s-tui-lb.service was started anew"),
        ("postgres/datastore/role", "postgres: database role|k3s|"),
        ("nginx/loadbalancer/packages", "nginx: nginx is not planned"),
    ):
        plan = [event for event in planned(told.plan) if event["step"] != step]
        strange = list(Audit(plan, told.bare, told.after).strange())
        assert any(line.startswith(trace) for line in strange), (step, strange)
    assert len(list(unkept(planned(told.plan), told.after, told.after))) > 10
