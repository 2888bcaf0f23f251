"""The plan says what would happen, and looking is one exec per host and wave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from k3s_tui.core.contract import LAPTOP, Change, Host, Probe, Problem, Step
from k3s_tui.core.errors import StepFailed, UsageError
from k3s_tui.core.events import Planned
from k3s_tui.engine.graph import ordered, select
from tests.unit.engine.rig import Marker, Rig, Seen, verdicts


async def test_all_probes_of_a_wave_share_one_exec_per_host(rig: Rig) -> None:
    a, b = rig.host("a"), rig.host("b")
    steps = [Step(f"{h}/{n}", h, Marker(n)) for h in (a, b) for n in ("one", "two", "three")]
    plan = await rig.plan(steps)
    assert set(verdicts(plan).values()) == {"change"}
    assert rig.execs() == {"a": 1, "b": 1}


async def test_a_step_reads_what_another_one_promises(rig: Rig) -> None:
    a = rig.host("a")
    first = Step("a/first", a, Marker("first", "value"))
    second = Step("a/second", a, lambda seen: Marker("second", seen[first]), (first,))
    plan = await rig.plan([first, second])
    item = plan.items[second]
    assert (item.verdict, item.diff) == ("change", " -> value")


async def test_what_is_known_only_once_done_makes_its_readers_later(rig: Rig) -> None:
    a = rig.host("a")
    first = Step("a/first", a, Marker("first", "value", after=None))
    second = Step("a/second", a, lambda seen: Marker("second", seen[first]), (first,))
    third = Step("a/third", a, lambda seen: Marker("third", seen[second]), (second,))
    plan = await rig.plan([first, second, third])
    assert verdicts(plan) == {"a/first": "change", "a/second": "later", "a/third": "later"}
    assert plan.items[second].summary == "known after a/first"


async def test_a_converged_chain_is_read_wave_by_wave(rig: Rig) -> None:
    a = rig.host("a")
    for name in ("first", "second", "third"):
        (rig.folder(a) / name).write_text("value")
    first = Step("a/first", a, Marker("first", "value", after=None))
    second = Step("a/second", a, lambda seen: Marker("second", seen[first]), (first,))
    third = Step("a/third", a, lambda seen: Marker("third", seen[second]), (second,))
    plan = await rig.plan([first, second, third])
    assert not plan.pending
    assert rig.execs() == {"a": 3}


async def test_a_problem_without_needs_refuses_and_one_with_needs_waits(rig: Rig) -> None:
    a = rig.host("a")
    alone = Step("a/alone", a, Seen("alone"))
    maker = Step("a/maker", a, Marker("made"))
    reader = Step("a/reader", a, Seen("made"), (maker,))
    warned = Step("a/warned", a, Seen("nothing", warning=True))
    plan = await rig.plan([alone, maker, reader, warned])
    assert verdicts(plan) == {
        "a/alone": "problem",
        "a/maker": "change",
        "a/reader": "later",
        "a/warned": "ok",
    }
    assert [item.step.id for item in plan.refusals] == ["a/alone"]
    assert plan.items[warned].warning == "nothing is not there"
    planned = {event.step: event for event in rig.of(Planned)}
    assert planned["a/alone"].hint == "make it"


async def test_a_change_may_tell_what_it_does_to_others(rig: Rig) -> None:
    class Felt(Marker):
        def diff(self, now: str) -> Change[str] | None:
            found = super().diff(now)
            return found and replace(found, warning="others notice", hint="tell them")

    a = rig.host("a")
    step = Step("a/felt", a, Felt("felt"))
    plan = await rig.plan([step])
    assert verdicts(plan) == {"a/felt": "change"} and not plan.refusals
    (event,) = rig.of(Planned)
    assert (event.warning, event.hint, event.summary) == (
        "others notice",
        "tell them",
        "write felt",
    )
    assert (await rig.apply([step])).outcomes[step] == "changed"


async def test_a_probe_nobody_understands_names_its_step(rig: Rig) -> None:
    a = rig.host("a")

    class Odd:
        def probe(self) -> Probe[int]:
            return Probe("echo many", int)

        def diff(self, now: int) -> Problem | None:
            return None

    plan = await rig.plan([Step("a/odd", a, Odd())])
    [item] = plan.refusals
    assert "a/odd" in item.summary
    assert "many" not in repr(item)


async def test_reading_a_step_without_needing_it_is_a_bug(rig: Rig) -> None:
    a = rig.host("a")
    first = Step("a/first", a, Marker("first"))
    second = Step("a/second", a, lambda seen: Marker("second", seen[first]))
    with pytest.raises(LookupError, match="without needing it"):
        await rig.plan([first, second])


def test_the_graph_is_checked() -> None:
    one = Step("laptop/one", LAPTOP, Marker("one"))
    two = Step("laptop/two", LAPTOP, Marker("two"), (one,))
    assert ordered([two, one]) == (one, two)
    with pytest.raises(ValueError, match="not in the plan"):
        ordered([two])
    with pytest.raises(ValueError, match="two steps are called"):
        ordered([one, Step("laptop/one", LAPTOP, Marker("x"))])


def test_a_hosts_name_is_that_of_the_id() -> None:
    """An agent's readiness is asked on a server, and is still the agent's."""
    server = rig_step("server/up")
    ready = Step("agent/ready", server.host, Marker("ready"))
    assert select((server, ready), ["server"]) == (server,)
    assert select((server, ready), ["agent"]) == (ready,)


def rig_step(name: str) -> Step[str]:
    return Step(name, Host(name.partition("/")[0]), Marker("x"))


def test_only_takes_what_the_named_steps_need() -> None:
    one = Step("laptop/a/one", LAPTOP, Marker("one"))
    two = Step("laptop/b/two", LAPTOP, Marker("two"), (one,))
    three = Step("laptop/b/three", LAPTOP, Marker("three"), (two,))
    steps = (one, two, three)
    assert select(steps, []) == steps
    assert select(steps, ["laptop/b/two"]) == (one, two)
    assert select(steps, ["*/a/*"]) == (one,)
    assert select(steps, ["laptop"]) == steps
    assert select(steps, ["*/a/*"], always=[three]) == (one, two, three)
    with pytest.raises(UsageError, match="names no step"):
        select(steps, ["lap"])


async def test_a_resource_that_cannot_be_built_is_a_problem_of_its_own(rig: Rig) -> None:
    a = rig.host("a")
    (rig.folder(a) / "value").write_text("odd")

    def refuse(seen: object) -> Marker:
        raise StepFailed("cannot be read", hint="look at it")

    value = Step("a/value", a, Seen("value"))
    reader = Step("a/reader", a, refuse, (value,))
    other = Step("a/other", a, Marker("other"))
    plan = await rig.plan([value, reader, other])
    assert verdicts(plan) == {"a/value": "ok", "a/reader": "later", "a/other": "change"}
    assert "cannot be read" in plan.items[reader].summary
