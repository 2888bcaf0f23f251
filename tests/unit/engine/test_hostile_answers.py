"""A host may answer anything: that fails its step in words, and is never a bug of ours."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from k3s_tui.core.contract import Check, Probe, Step
from k3s_tui.core.events import Line, StepDone
from k3s_tui.core.secret import Secret
from k3s_tui.resources.block import Block
from k3s_tui.resources.k3s.members import EtcdMembers
from k3s_tui.resources.k3s.nodes import NodeReady
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.role import Role
from k3s_tui.resources.postgres.sessions import Sessions
from tests.unit.engine.rig import Marker, Rig

LABELLED = {"name": "a", "labels": {}}
PSQL = Psql(5432)


@dataclass(frozen=True)
class Told:
    """A check of the product, of a host that answers this."""

    check: Check[Any]
    answer: bytes

    def probe(self) -> Probe[Any]:
        async def ask(_: object) -> bytes:
            return self.answer

        probe = self.check.probe()
        return Probe(ask, probe.parse, probe.most)

    def diff(self, now: Any) -> Any:
        return self.check.diff(now)


def nodes(*items: object) -> bytes:
    return json.dumps({"items": items}).encode()


def role(verifier: object) -> bytes:
    state = {
        "login": True,
        "system": False,
        "powers": [],
        "limited": False,
        "messages": True,
        "verifier": verifier,
    }
    return json.dumps(state).encode()


def session(**fields: object) -> bytes:
    known = {"role": "k3s", "address": "10.0.0.1", "tls": True, "version": "1", "client": "k3s"}
    return json.dumps([known | fields]).encode()


READY = NodeReady("a", "v1", ("10.0.0.1",), True)
ROLE = Role(PSQL, "k3s", Secret("password"))
SESSIONS = Sessions(PSQL, "k3s", ("10.0.0.1",))
ANSWERS = [
    (READY, nodes({"metadata": LABELLED, "status": []})),
    (READY, nodes({"metadata": LABELLED, "status": {"conditions": [1]}})),
    (READY, b"[" * 200_000),
    (READY, b'{"a":' * 100_000),
    (READY, b"9" * 1_000_000),
    (READY, nodes("x" * (7 << 20))),
    (EtcdMembers(("a",)), nodes({"metadata": []})),
    (SESSIONS, session(address=[])),
    (SESSIONS, session(surprise=1)),
    (ROLE, role([])),
]


@pytest.mark.parametrize(("check", "answer"), ANSWERS)
async def test_an_odd_answer_is_a_problem_of_its_step(
    rig: Rig, check: Check[Any], answer: bytes
) -> None:
    host = rig.host("a")
    steps = [Step("a/odd", host, Told(check, answer)), Step("a/other", host, Marker("m"))]
    plan = await rig.plan(steps)
    odd, other = plan.items.values()
    assert (odd.verdict, other.verdict) == ("problem", "change")
    assert "answer to the probe of a/odd" in odd.summary and odd.summary.startswith("a: ")
    assert len(odd.summary) < 300


async def test_a_diff_that_fails_in_a_run_fails_its_step_alone(rig: Rig) -> None:
    host = rig.host("a")
    first = Step("a/first", host, Marker("m"))
    odd = Step("a/odd", host, lambda seen: Told(SESSIONS, session(address=[])), (first,))
    other = Step("a/other", host, Marker("o"))
    await rig.apply([first, odd, other])
    ended = {event.step: event for event in rig.of(StepDone)}
    assert [event.outcome for event in ended.values()].count("changed") == 2
    assert "not understood" in ended["a/odd"].error


async def test_where_it_was_not_understood_is_told_and_not_what(rig: Rig) -> None:
    host = rig.host("a")
    await rig.plan([Step("a/odd", host, Told(READY, nodes({"metadata": "canary"})))])
    [line] = rig.of(Line)
    assert line.text.startswith("not understood: TypeError in nodes.py:")
    assert "canary" not in repr(rig.events)


@pytest.mark.parametrize(
    "verifier",
    [
        "SCRAM-SHA-256$2147483647:c2FsdA==$a:b",
        "SCRAM-SHA-256$99999999999:c2FsdA==$a:b",
        f"SCRAM-SHA-256${'9' * 5000}:c2FsdA==$a:b",
        "SCRAM-SHA-256$0:c2FsdA==$a:b",
        "SCRAM-SHA-256$4096:c$a:b",
    ],
)
def test_a_verifier_that_would_take_for_ever_is_another_ones(verifier: str) -> None:
    began = time.monotonic()
    change = ROLE.diff(ROLE.probe().parse(role(verifier)))
    assert change is not None and "set its password" in str(change)
    assert time.monotonic() - began < 5


@pytest.mark.timeout(60)
def test_a_large_file_is_compared_in_time() -> None:
    began = time.monotonic()
    block = Block("/etc/hosts", "10.0.0.1 name")
    lines = b"".join(b"%d\n" % (7 * n % 150) for n in range(200_000))
    change = block.diff(block.probe().parse(b"\n" + lines))
    assert change is not None and "+10.0.0.1 name" in str(change)
    torn = lines.replace(b"77", b"# BEGIN k3s-tui")
    change = block.diff(block.probe().parse(b"\n" + torn))
    assert "too much to show" in str(change)
    assert time.monotonic() - began < 20
