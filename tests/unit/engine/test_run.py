"""A run does what the plan says, looks again, and stops what depends on a failure."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Hands, Probe, Problem, Step
from k3s_tui.core.events import HostState, Line, StepDone, StepStarted, Waiting
from tests.unit.engine.rig import Heard, Marker, Rig, Seen, outcomes, verdicts


async def until(condition: object, *, within: float = 10.0) -> None:
    """Wait for a callable to be true."""
    assert callable(condition)
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_second_run_changes_nothing(rig: Rig) -> None:
    a = rig.host("a")
    first = Step("a/first", a, Marker("first", "value", after=None))
    second = Step("a/second", a, lambda seen: Marker("second", seen[first]), (first,))
    steps = [first, second]
    assert outcomes(await rig.apply(steps)) == {"a/first": "changed", "a/second": "changed"}
    before = rig.execs()["a"]
    assert outcomes(await rig.apply(steps)) == {"a/first": "ok", "a/second": "ok"}
    assert rig.log(a) == ["first", "second"]
    assert rig.execs()["a"] - before == 2  # one exec per wave, none in the run


async def test_a_resource_that_does_not_keep_its_word_fails(rig: Rig) -> None:
    a = rig.host("a")
    liar = Step("a/liar", a, Marker("liar", script="exit 0"))
    result = await rig.apply([liar, Step("a/reader", a, Marker("x"), (liar,))])
    assert outcomes(result) == {"a/liar": "failed", "a/reader": "skipped"}
    failed = next(e for e in rig.of(StepDone) if e.outcome == "failed")
    assert failed.error == "still not as wanted after the change: write liar"


async def test_a_failure_carries_the_last_lines_and_stops_only_its_readers(rig: Rig) -> None:
    a, b = rig.host("a"), rig.host("b")
    bad = Step("a/bad", a, Marker("bad", script="echo no space left >&2; exit 3"))
    result = await rig.apply(
        [bad, Step("a/after", a, Marker("after"), (bad,)), Step("b/other", b, Marker("other"))]
    )
    assert outcomes(result) == {"a/bad": "failed", "a/after": "skipped", "b/other": "changed"}
    failed = next(e for e in rig.of(StepDone) if e.outcome == "failed")
    assert (failed.error, failed.tail) == ("no space left", "no space left")
    assert [line.text for line in rig.of(Line)] == ["no space left"]
    skipped = next(e for e in rig.of(StepDone) if e.outcome == "skipped")
    assert skipped.error == "needs a/bad"


async def test_a_wait_ends_when_its_condition_comes_true(rig: Rig) -> None:
    a, b = rig.host("a"), rig.host("b")
    maker = Step("b/maker", b, Marker("made"))
    wait = Step("a/wait", a, Seen("signal"), (maker,))
    task = asyncio.create_task(rig.apply([maker, wait]))
    await until(lambda: rig.of(Waiting))
    (rig.folder(a) / "signal").write_text("here")
    assert outcomes(await task) == {"b/maker": "changed", "a/wait": "ok"}
    assert [event.condition for event in rig.of(Waiting)] == ["signal is not there"]


async def test_a_check_that_found_it_right_may_say_what_it_found(rig: Rig) -> None:
    a = rig.host("a")
    maker = Step("a/maker", a, Marker("made", "v1"))
    await rig.apply([maker, Step("a/heard", a, Heard("made"), (maker,))])
    heard = next(e for e in rig.of(StepDone) if e.step == "a/heard")
    assert (heard.outcome, heard.summary) == ("ok", "it says v1")


async def test_a_deadline_names_the_condition(rig: Rig) -> None:
    a = rig.host("a")
    maker = Step("a/maker", a, Marker("made"))
    wait = Step("a/wait", a, Seen("never"), (maker,), within=0.5)
    assert outcomes(await rig.apply([maker, wait]))["a/wait"] == "failed"
    failed = next(e for e in rig.of(StepDone) if e.outcome == "failed")
    assert failed.error == "not done within 0 s: waiting: never is not there"
    assert failed.hint == "make it"


async def test_one_change_at_a_time_on_a_host(rig: Rig) -> None:
    a = rig.host("a")
    alone = "mkdir busy || exit 9; sleep 0.05; rmdir busy"
    steps = [Step(f"a/{n}", a, Marker(f"m{n}", script=alone)) for n in range(5)]
    assert set(outcomes(await rig.apply(steps)).values()) == {"changed"}


async def test_queueing_for_a_host_does_not_use_up_a_steps_time(rig: Rig) -> None:
    a = rig.host("a")
    steps = [Step(f"a/{n}", a, Marker(f"m{n}", script="sleep 0.8"), within=4.0) for n in range(6)]
    assert set(outcomes(await rig.apply(steps)).values()) == {"changed"}


async def test_a_change_that_was_not_announced_is_not_made(rig: Rig) -> None:
    a = rig.host("a")
    (rig.folder(a) / "quiet").write_text("done")
    mover = Step("a/mover", a, Marker("mover", script="echo other >quiet"))
    quiet = Step("a/quiet", a, Marker("quiet"), (mover,))
    result = await rig.apply([mover, quiet])
    assert outcomes(result)["a/quiet"] == "failed"
    assert (rig.folder(a) / "quiet").read_text() == "other\n"


async def test_a_lost_connection_is_made_again_and_the_step_looks_first(rig: Rig) -> None:
    a = rig.host("a")
    rig.cut.append("printf %s done >one")
    result = await rig.apply([Step("a/one", a, Marker("one"))])
    assert outcomes(result) == {"a/one": "changed"}
    states = [event.state for event in rig.of(HostState)]
    assert states == ["connecting", "connected", "lost", "connecting", "connected"]


async def test_a_connection_lost_after_the_deed_does_not_repeat_it(rig: Rig) -> None:
    a = rig.host("a")

    class DoneButLost(Marker):
        async def apply(self, on: Hands, change: Change[str]) -> None:
            await super().apply(on, change)
            await on.sh("cut here")

    rig.cut.append("cut here")
    result = await rig.apply([Step("a/one", a, DoneButLost("one"))])
    assert outcomes(result) == {"a/one": "changed"}
    assert rig.log(a) == ["one"]


async def test_the_first_stop_lets_a_change_end_and_starts_no_other(rig: Rig) -> None:
    a = rig.host("a")
    slow = Step(
        "a/slow", a, Marker("slow", script="touch begun; while ! [ -e go ]; do sleep .01; done")
    )
    after = Step("a/after", a, Marker("after"), (slow,))
    task = asyncio.create_task(rig.apply([slow, after]))
    await until((rig.folder(a) / "begun").exists)
    assert rig.run
    rig.run.stop()
    (rig.folder(a) / "go").touch()
    result = await task
    assert outcomes(result) == {"a/slow": "changed", "a/after": "cancelled"}
    assert result.interrupted


async def test_the_first_stop_ends_a_wait_at_once(rig: Rig) -> None:
    a = rig.host("a")
    maker = Step("a/maker", a, Marker("made"))
    wait = Step("a/wait", a, Seen("never"), (maker,))
    task = asyncio.create_task(rig.apply([maker, wait]))
    await until(lambda: rig.of(Waiting))
    assert rig.run
    rig.run.stop()
    assert outcomes(await task)["a/wait"] == "cancelled"


async def test_the_second_stop_kills_what_is_running(rig: Rig) -> None:
    a = rig.host("a")
    folder = rig.folder(a)
    hang = Step("a/hang", a, Marker("hang", script="echo $$ >pid; touch begun; sleep 60"))
    task = asyncio.create_task(rig.apply([hang]))
    await until((folder / "begun").exists)
    assert rig.run
    rig.run.stop()
    rig.run.stop()
    assert outcomes(await task) == {"a/hang": "cancelled"}
    pid = (folder / "pid").read_text().strip()
    await until(lambda: not Path(f"/proc/{pid}").exists())


async def test_a_bug_in_a_step_lets_the_others_end_and_is_raised(rig: Rig) -> None:
    a, b = rig.host("a"), rig.host("b")

    class Bug(Marker):
        async def apply(self, on: Hands, change: Change[str]) -> None:
            await until((rig.folder(a) / "begun").exists)
            (rig.folder(a) / "go").touch()
            raise ZeroDivisionError

    slow = Marker("slow", script="touch begun; until [ -e go ]; do sleep .01; done")
    steps = [Step("a/slow", a, slow), Step("b/bug", b, Bug("bug"))]
    with pytest.raises(ZeroDivisionError):
        await rig.apply(steps)
    assert (rig.folder(a) / "slow").exists()
    ended = {event.step: event.outcome for event in rig.of(StepDone)}
    assert ended == {"a/slow": "changed", "b/bug": "failed"}


async def test_a_stop_holds_back_changes_that_queue_for_their_host(rig: Rig) -> None:
    a = rig.host("a")
    wait = "touch begun; until [ -e go ]; do sleep .01; done"
    steps = [Step(f"a/{n}", a, Marker(f"m{n}", script=wait)) for n in range(4)]
    task = asyncio.create_task(rig.apply(steps))
    await until((rig.folder(a) / "begun").exists)
    assert rig.run
    rig.run.stop()
    (rig.folder(a) / "go").touch()
    result = await task
    assert sorted(outcomes(result).values()) == ["cancelled"] * 3 + ["changed"]
    assert len(rig.log(a)) == 1


async def test_a_stop_at_the_very_end_is_one(rig: Rig) -> None:
    a = rig.host("a")
    wait = "touch begun; until [ -e go ]; do sleep .01; done"
    task = asyncio.create_task(rig.apply([Step("a/last", a, Marker("last", script=wait))]))
    await until((rig.folder(a) / "begun").exists)
    assert rig.run
    rig.run.stop()
    (rig.folder(a) / "go").touch()
    result = await task
    assert result.succeeded and result.interrupted


async def test_a_warning_found_during_the_run_is_told(rig: Rig) -> None:
    a = rig.host("a")
    maker = Step("a/maker", a, Marker("made"))
    warned = Step("a/warned", a, Seen("nothing", warning=True), (maker,))
    await rig.apply([maker, warned])
    [done] = [event for event in rig.of(StepDone) if event.step == "a/warned"]
    assert (done.outcome, done.warning, done.hint) == ("ok", "nothing is not there", "make it")


async def test_what_a_change_moves_is_read_anew_down_the_line(rig: Rig) -> None:
    """A restart, a wait that is ok as before, a value that is another now, and its reader."""
    a = rig.host("a")
    folder = rig.folder(a)
    (folder / "up").write_text("yes")
    (folder / "value").write_text("old")
    (folder / "copy").write_text("old")
    service = Step("a/service", a, Marker("service", script="printf new >value"))
    up = Step("a/up", a, Seen("up"), (service,))
    value = Step("a/value", a, Seen("value"), (up,))
    copy = Step("a/copy", a, lambda seen: Marker("copy", seen[value]), (value,))
    plan = await rig.plan([service, up, value, copy])
    assert verdicts(plan) == {
        "a/service": "change",
        "a/up": "ok",
        "a/value": "ok",
        "a/copy": "later",
    }
    assert outcomes(await rig.apply([service, up, value, copy]))["a/copy"] == "changed"
    assert (folder / "copy").read_text() == "new"


async def test_what_did_not_move_is_not_looked_at_again(rig: Rig) -> None:
    a = rig.host("a")
    (rig.folder(a) / "far").write_text("done")
    (rig.folder(a) / "near").write_text("done")
    mover = Step("a/mover", a, Marker("mover"))
    near = Step("a/near", a, Marker("near"), (mover,))
    far = Step("a/far", a, Marker("far"), (near,))
    await rig.apply([mover, near, far])
    assert {event.step for event in rig.of(StepStarted)} == {"a/mover", "a/near"}


async def test_a_check_that_is_not_there_yet_is_asked_once_per_pause(rig: Rig) -> None:
    """Steps that wait together on one host share their execs."""
    a = rig.host("a")
    asked = 0

    class Counting:
        def __init__(self, name: str) -> None:
            self.name = name

        def probe(self) -> Probe[bool]:
            return Probe("[ -e signal ] && echo y || :", lambda out: out == b"y\n")

        def diff(self, now: bool) -> Problem | None:
            nonlocal asked
            asked += 1
            return None if now else Problem("no signal")

    maker = Step("a/maker", a, Marker("made"))
    waits = [Step(f"a/wait-{n}", a, Counting(str(n)), (maker,)) for n in range(10)]
    task = asyncio.create_task(rig.apply([maker, *waits]))
    await until(lambda: asked >= 40)
    (rig.folder(a) / "signal").touch()
    assert set(outcomes(await task).values()) == {"ok", "changed"}
    assert rig.execs()["a"] < asked / 3


async def test_a_full_disk_is_the_error_and_not_only_its_tail(rig: Rig) -> None:
    a = rig.host("a")
    told = "echo 'cat: No space left on device' >&2; echo 'cannot place /etc/x' >&2; exit 1"
    await rig.apply([Step("a/full", a, Marker("full", script=told))])
    [done] = rig.of(StepDone)
    assert done.error == "/etc/x: there is no space left on the device"
    assert "df -h /etc/x" in done.hint and "cannot place" in done.tail
