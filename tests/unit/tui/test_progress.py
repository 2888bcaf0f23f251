"""What a screen shows of a run, folded from its events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from k3s_tui.core.events import (
    AnyEvent,
    HostState,
    Line,
    Planned,
    RunDone,
    RunStarted,
    StepDone,
    StepStarted,
    Waiting,
)
from k3s_tui.procedure.history import replay
from k3s_tui.tui.progress import CHAPTERS, Progress

RECORDING = Path(__file__).parents[3] / "k3s_tui" / "demo" / "how-to.jsonl"

PACKAGES = "postgres/datastore/packages"
SETTINGS = "postgres/datastore/settings"
READY = "server-1/servers/ready"
DISK = "server-1/preflight/disk"


def on(step: str) -> dict[str, Any]:
    return {"step": step, "host": step.partition("/")[0]}


def folded(*events: AnyEvent) -> Progress:
    progress = Progress()
    for event in events:
        progress(event)
    return progress


START = RunStarted(t=100, tool="1", run="r", verb="apply", profile="p", hosts=["server-1"])


def test_a_recording_of_a_real_run_folds_to_its_own_numbers() -> None:
    progress = Progress()
    phases: list[str] = []
    for event in replay(RECORDING):
        progress(event)
        if not phases or phases[-1] != progress.phase:
            phases.append(progress.phase)
    done = progress.done
    assert done is not None
    assert phases == ["connecting", "planned", "running", "verifying", "ended"]
    assert done.ok + done.changed == len(progress.steps) == progress.ended
    assert done.changed == sum(step.state == "changed" for step in progress.steps.values())
    assert not progress.active
    assert not progress.failures
    assert [chapter.id for chapter in progress.chapters] == list(CHAPTERS)
    assert all(chapter.finished for chapter in progress.chapters)
    assert all(host.done == host.steps for host in progress.hosts.values())
    assert progress.touched == set(progress.steps)


def test_what_the_plan_found_as_wanted_is_no_work() -> None:
    progress = folded(
        START,
        Planned(t=101, **on(DISK), verdict="ok"),
        Planned(t=101, **on(READY), verdict="later"),
    )
    host = progress.hosts["server-1"]
    assert (host.done, host.steps) == (0, 1)
    progress(StepDone(t=102, **on(DISK), outcome="ok"))
    assert (host.done, host.steps) == (0, 1)
    progress(StepDone(t=103, **on(READY), outcome="changed"))
    assert (host.done, host.steps) == (1, 1)
    assert progress.ended == 2


def test_a_step_that_fails_counts_and_what_needs_it_does_not() -> None:
    progress = folded(
        START,
        Planned(t=101, **on(PACKAGES), verdict="change", summary="install"),
        Planned(t=101, **on(SETTINGS), verdict="later"),
        StepStarted(t=102, **on(PACKAGES)),
        StepDone(t=105, **on(PACKAGES), outcome="failed", error="no", hint="do", tail="last"),
        StepDone(t=105, **on(SETTINGS), outcome="skipped", error="needs it"),
    )
    assert [step.id for step in progress.failures] == [PACKAGES]
    step = progress.steps[PACKAGES]
    assert (step.error, step.hint, step.tail, step.summary) == ("no", "do", "last", "install")
    (chapter,) = progress.chapters
    assert (chapter.state, chapter.failed, chapter.done, chapter.finished) == (
        "failed",
        1,
        2,
        False,
    )
    host = progress.hosts["postgres"]
    assert (host.done, host.failed, host.left, host.over) == (0, 1, 1, True)


def test_a_step_is_silent_thirty_seconds_after_its_last_word() -> None:
    progress = folded(START, StepStarted(t=100, **on(READY)))
    assert progress.silent(129) == []
    assert [step.id for step in progress.silent(130)] == [READY]
    progress(Line(t=120, **on(READY), text="hello"))
    assert progress.silent(149) == []
    progress(Waiting(t=140, **on(READY), condition="not Ready", seen="no CNI"))
    assert progress.silent(169) == []
    assert [step.waits for step in progress.silent(170)] == ["not Ready (no CNI)"]
    progress(StepDone(t=171, **on(READY), outcome="ok"))
    assert progress.silent(1000) == []


def test_a_step_that_waits_for_its_turn_on_a_busy_host_is_not_silent() -> None:
    progress = folded(
        START,
        StepStarted(t=100, **on(PACKAGES)),
        StepStarted(t=100, **on(SETTINGS)),
        Line(t=150, **on(PACKAGES), text="unpacking"),
    )
    assert progress.silent(160) == []
    assert {step.id for step in progress.silent(181)} == {PACKAGES, SETTINGS}
    # What waits for a condition is silent, however busy its host is.
    progress(Waiting(t=155, **on(SETTINGS), condition="not there"))
    progress(Line(t=200, **on(PACKAGES), text="still unpacking"))
    assert [step.id for step in progress.silent(201)] == [SETTINGS]


def test_the_most_silent_step_comes_first() -> None:
    progress = folded(START, StepStarted(t=100, **on(PACKAGES)), StepStarted(t=90, **on(READY)))
    assert [step.id for step in progress.silent(200)] == [READY, PACKAGES]


def test_a_warning_keeps_the_hint_of_its_plan() -> None:
    progress = folded(
        START,
        Planned(t=101, **on(DISK), verdict="ok", warning="little room", hint="make some"),
        Planned(t=101, **on(READY), verdict="later", hint="wait"),
        StepDone(t=102, **on(DISK), outcome="ok", warning="little room"),
        StepDone(t=102, **on(READY), outcome="ok"),
    )
    assert [(step.warning, step.hint) for step in progress.warnings] == [
        ("little room", "make some")
    ]
    assert progress.steps[READY].hint == ""


def test_lines_of_what_was_never_planned_are_taken_as_they_are() -> None:
    progress = folded(
        START,
        HostState(t=101, host="laptop", state="connected"),
        Line(t=102, step="", host="server-1", text="hello"),
        StepDone(t=103, step="odd", host="server-1", outcome="ok"),
        RunDone(t=104, exit=0),
    )
    assert progress.steps["odd"].chapter == ""
    assert progress.hosts["server-1"].heard == 103
    assert progress.phase == "ended"


def test_a_step_of_two_parts_is_a_chapter_of_its_own() -> None:
    progress = folded(START, Planned(t=101, **on("laptop/kubeconfig"), verdict="later"))
    step = progress.steps["laptop/kubeconfig"]
    assert (step.about, step.chapter, step.what) == ("laptop", "kubeconfig", "kubeconfig")
