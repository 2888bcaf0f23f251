from __future__ import annotations

import io

import pytest
from rich.console import Console

from k3s_tui.core import events
from k3s_tui.core.events import AnyEvent
from k3s_tui.headless.progress import ProgressPrinter
from tests.unit.headless.recorded import DATASTORE, HOSTILE, PLAN, RUN, SERVER


def printer(width: int = 120) -> tuple[ProgressPrinter, io.StringIO]:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=width, color_system=None)
    return ProgressPrinter(console, verbose=True), shown


def table(progress: ProgressPrinter) -> list[str]:
    """The lines below, as they would be drawn now."""
    drawn = Console(file=io.StringIO(), width=200, color_system=None)
    with drawn.capture() as capture:
        drawn.print(progress._table())
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_one_line_per_host() -> None:
    progress, _ = printer()
    for event in PLAN:
        progress(event)
    assert table(progress) == ["k3s-server-1 0/4 -", "postgres 0/1 -"]
    progress.close()


def test_a_line_says_what_its_host_is_doing() -> None:
    progress, _ = printer()
    plan = [events.Planned(step=f"{SERVER}/a/{n}", host=SERVER, verdict="change") for n in range(3)]
    for event in (
        PLAN[0],
        *plan,
        events.StepDone(step=f"{SERVER}/a/0", host=SERVER, outcome="ok"),
        events.StepStarted(step=f"{SERVER}/a/1", host=SERVER, t=2e9),
        events.StepStarted(step=f"{SERVER}/a/2", host=SERVER, t=2e9),
        events.Waiting(step=f"{SERVER}/a/2", host=SERVER, condition="no answer"),
    ):
        progress(event)
    assert table(progress)[0] == "k3s-server-1 1/3 a/1 0.0 s, a/2 0.0 s: waits, no answer"
    progress(events.StepDone(step=f"{SERVER}/a/1", host=SERVER, outcome="failed", error="x"))
    assert table(progress)[0] == "k3s-server-1 2/3 1 failed, a/2 0.0 s: waits, no answer"
    progress(events.StepDone(step=f"{SERVER}/a/2", host=SERVER, outcome="ok"))
    assert table(progress)[0] == "k3s-server-1 3/3 1 failed"
    progress.close()


def test_proofs_after_the_plan_count_too() -> None:
    """They are in no plan: a line must not say 2/1."""
    progress, _ = printer()
    progress(PLAN[0])
    progress(events.Planned(step=f"{DATASTORE}/a/b", host=DATASTORE, verdict="ok"))
    progress(events.StepDone(step=f"{DATASTORE}/a/b", host=DATASTORE, outcome="ok"))
    proof = f"{DATASTORE}/verification/tls-sessions"
    progress(events.StepStarted(step=proof, host=DATASTORE))
    assert table(progress)[1].startswith("postgres 1/2 verification/tls-sessions")
    progress(events.StepDone(step=proof, host=DATASTORE, outcome="ok"))
    assert table(progress)[1] == "postgres 2/2 done"
    progress.close()


HOSTILE_EVENTS: list[AnyEvent] = [
    events.HostState(host=HOSTILE, state="lost", detail=HOSTILE),
    events.Planned(step=f"x/{HOSTILE}", host=HOSTILE, verdict="change", diff=HOSTILE),
    events.StepStarted(step=f"x/{HOSTILE}", host=HOSTILE),
    events.Waiting(step=f"x/{HOSTILE}", host=HOSTILE, condition=HOSTILE, seen=HOSTILE),
    events.Line(step=f"x/{HOSTILE}", host=HOSTILE, text=HOSTILE),
    events.StepDone(
        step="y", host=HOSTILE, outcome="failed", error=HOSTILE, hint=HOSTILE, tail=HOSTILE
    ),
    events.RunDone(exit=1, error=HOSTILE, hint=HOSTILE),
]


@pytest.mark.parametrize("event", HOSTILE_EVENTS, ids=lambda event: type(event).__name__)
def test_foreign_text_is_never_markup(event: AnyEvent) -> None:
    progress, shown = printer()
    progress(event)
    drawn = "\n".join(table(progress))
    progress.close()
    assert HOSTILE in shown.getvalue() or HOSTILE.split("]", 1)[0] in drawn


def test_a_whole_run_ends_with_the_cursor_shown() -> None:
    progress, shown = printer()
    for event in [*PLAN, *RUN]:
        progress(event)
    progress.close()
    text = shown.getvalue()
    assert "error: failed: postgres/datastore/access" in text
    hides, shows = text.rfind("\x1b[?25l"), text.rfind("\x1b[?25h")
    assert 0 <= hides < shows


def test_a_step_that_is_drawn_below_is_not_told_above() -> None:
    progress, shown = printer()
    for event in RUN:
        progress(event)
    progress.close()
    assert "servers/hosts-entry ...\n" not in shown.getvalue()
