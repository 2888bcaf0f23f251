"""The demo's run: stopped as a real one is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual.widgets import OptionList

from k3s_tui.core.errors import Exit
from k3s_tui.core.events import AnyEvent, Planned, RunDone, RunStarted, StepDone, StepStarted
from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.dialogs.cancel import CancelDialog
from k3s_tui.tui.replay import Recorded, Replay
from k3s_tui.tui.screens.finish import FinishScreen
from k3s_tui.tui.screens.run import RunScreen
from tests.tui.operator import Operator, how_to, operator

FIRST, SECOND, THIRD = (f"postgres/datastore/{name}" for name in ("a", "b", "c"))


def events(second: float = 1.5) -> list[AnyEvent]:
    """Three steps one after the other, the second of so many seconds."""
    said: list[AnyEvent] = [
        RunStarted(t=1, tool="", run="r", verb="apply", profile="", hosts=["postgres"])
    ]
    said += (
        Planned(t=1, step=s, host="postgres", verdict="change") for s in (FIRST, SECOND, THIRD)
    )
    then = 1 + second
    for step, began, ended in ((FIRST, 1.0, 1.0), (SECOND, 1.0, then), (THIRD, then, 99.0)):
        said.append(StepStarted(t=began, step=step, host="postgres"))
        said.append(StepDone(t=ended, step=step, host="postgres", outcome="changed"))
    return [*said, RunDone(t=99, exit=0, changed=3)]


async def until_active(run: Replay) -> None:
    while [step.id for step in run.progress.active] != [SECOND]:
        await asyncio.sleep(0.01)


async def test_gently_what_is_under_way_ends_and_nothing_else_begins() -> None:
    run = Replay(events())
    run.start()
    await until_active(run)
    assert run.stop()
    assert run.stopping == "gently" and run.running
    await run.wait()
    states = {id: step.state for id, step in run.progress.steps.items()}
    assert states == {FIRST: "changed", SECOND: "changed", THIRD: "change"}
    done = run.progress.done
    assert done is not None and done.exit == Exit.INTERRUPTED
    assert (done.ok, done.changed, done.failed, done.skipped) == (0, 2, 0, 1)
    assert done.t >= run.progress.began + 1
    assert not run.stop()


async def test_now_what_is_under_way_is_cut_off() -> None:
    run = Replay(events())
    run.start()
    await until_active(run)
    assert run.stop() and run.stop()
    assert run.stopping == "now"
    await run.wait()
    assert run.progress.steps[SECOND].state == "cancelled"
    done = run.progress.done
    assert done is not None
    assert (done.changed, done.skipped) == (1, 2)


async def test_the_result_counts_what_had_ended(folder: Path) -> None:
    async with operator(folder, how_to(folder), backend=lambda *_: Recorded(events())) as user:
        await user.at("hosts")
        # Each key takes up to three seconds where a run is drawn all the time.
        run = Replay(events(second=10))
        run.start()
        user.wizard.follow(run)
        await user.on(RunScreen)
        await until_active(run)
        await user.press("ctrl+q")
        dialog = await user.on(CancelDialog)
        dialog.query_one(OptionList).highlighted = 1
        await user.press("enter")
        await user.on(FinishScreen)
        await user.sees("0 as wanted, 2 changed, 0 failed, 1 not done  00:1")


async def test_what_is_saved_in_a_demo_is_said_to_go_with_it(folder: Path) -> None:
    settings = Settings(how_to(folder), folder=folder, backend=lambda *_: Recorded(events()))
    wizard = Wizard(settings)
    async with wizard.run_test(size=(80, 24), notifications=True) as pilot:
        user = Operator(wizard, pilot)
        await user.at("hosts")
        await user.press("ctrl+s")
        await user.sees("saved for this demo only")
