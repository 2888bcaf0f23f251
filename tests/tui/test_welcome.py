"""Where it begins: a new profile, one that is there, or what is left of a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.widgets import OptionList, Tree

from k3s_tui.core.errors import Exit
from k3s_tui.core.events import AnyEvent, RunDone, RunStarted, StepDone, StepStarted
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.lock import lock_profile
from k3s_tui.engine.record import Recorder
from k3s_tui.procedure.recording import lock_of, runs_folder
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.screens.finish import FinishScreen
from k3s_tui.tui.screens.review import ReviewScreen
from k3s_tui.tui.screens.welcome import WelcomeScreen
from tests.tui.bench import Bench
from tests.tui.fields import field, fill, told
from tests.tui.operator import Operator, how_to, operator
from tests.tui.test_run import exit_of, started

STEP = "postgres/datastore/packages"
BEGUN = StepStarted(step=STEP, host="postgres")
ENDED = StepDone(step=STEP, host="postgres", outcome="changed")
FAILED = StepDone(step=STEP, host="postgres", outcome="failed", error="no")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "bench"
    root.mkdir()
    return Bench(root)


def record(profile: Path, *events: AnyEvent, verb: str = "apply") -> None:
    """As if a run of the how-to's profile had said this."""
    began = RunStarted(tool="", run="r", verb=verb, profile=str(profile), hosts=["postgres"])
    recorder = Recorder(runs_folder(profile, "how-to") / "20261123T135316-7c10", Redactor())
    for event in (began, *events):
        recorder(event)
    recorder.close()


def choices(user: Operator) -> list[str]:
    return [str(option.prompt) for option in user.wizard.screen.query_one(OptionList).options]


@pytest.mark.parametrize(
    ("typed", "name"),
    [("my cluster", "my-cluster"), ("我的集群", "cluster"), ("clusté.toml", "cluste")],
)
async def test_a_new_cluster_may_have_any_file_name(folder: Path, typed: str, name: str) -> None:
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        await user.press("enter", "end", "ctrl+u")
        user.wizard.screen.query_one("#path").value = typed  # type: ignore[attr-defined]
        await user.press("enter")
        await user.at("hosts")
        assert user.wizard.draft.path.stem == typed.removesuffix(".toml")
        assert field(user, "name").typed == name
        assert not user.wizard.draft.problems(("name",))
        await fill(user, "no name", "name")
        await user.press("tab")
        assert "profile name" in told(user, "name")


async def test_a_name_that_is_there_already_is_asked_about(folder: Path) -> None:
    how_to(folder)
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        for answer in ("escape", "tab"):
            await user.press("home", "enter", "end", "ctrl+u")
            await user.type("how-to")
            await user.press("enter")
            await user.on(ConfirmDialog)
            await user.sees("how-to.toml is there already. Open it?")
            await user.press(answer)
            if answer == "escape":
                await user.on(WelcomeScreen)
                user.wizard.screen.query_one("#choices").focus()
        await user.press("enter")
        await user.at("hosts")
        assert user.wizard.draft.hosts


async def test_the_review_leads_to_the_field(folder: Path) -> None:
    path = how_to(folder)
    path.write_text(path.read_text().replace('name = "how-to"', 'name = "how to"'))
    async with operator(folder, path) as user:
        user.wizard.go("review")
        await user.at("review")
        await user.sees("The profile is not right yet")
        await user.press("down", "enter")
        await user.at("hosts")
        await user.until(lambda: field(user, "name").has_focus_within, "the name")
        assert "profile name" in told(user, "name")


@pytest.mark.parametrize("size", [(60, 15), (80, 24)])
async def test_what_no_field_asks_for_is_told_with_its_line(
    folder: Path, size: tuple[int, int]
) -> None:
    path = how_to(folder)
    path.write_text("nmae = 1\n" + path.read_text())
    async with operator(folder, path, size) as user:
        await user.at("hosts")
        user.wizard.go("review")
        await user.at("review")
        await user.press("down", "enter")
        await user.at("hosts")
        await user.sees('line 1: nmae: unknown key "nmae"')
        await user.sees("see to it in how-to.toml")
        await user.press("ctrl+n")
        await user.at("hosts")


@pytest.mark.parametrize(
    ("events", "resumes", "words"),
    [
        ((), False, "its last run was cut off before it changed anything"),
        ((BEGUN,), True, "Resume how-to.toml: cut off at postgres/datastore/packages"),
        (
            (BEGUN, FAILED, RunDone(exit=Exit.FAILED, error="failed: x")),
            True,
            "Resume how-to.toml: failed at postgres/datastore/packages",
        ),
        (
            (BEGUN, ENDED, RunDone(exit=Exit.INTERRUPTED)),
            True,
            "Resume how-to.toml: stopped at postgres/datastore/packages",
        ),
        (
            (RunDone(exit=Exit.REFUSED, error="nothing was changed: no disk\nmore"),),
            False,
            "its last run was refused: nothing was changed: no disk",
        ),
        (
            (RunDone(exit=Exit.CREDENTIALS, error="wrong passphrase"),),
            False,
            "its last run was refused a credential: wrong passphrase",
        ),
        ((RunDone(exit=Exit.FAILED, error="no route"),), False, "its last run failed: no route"),
        ((BEGUN, ENDED, RunDone(exit=Exit.OK)), False, ""),
    ],
)
async def test_what_became_of_the_last_run(
    folder: Path, events: tuple[AnyEvent, ...], resumes: bool, words: str
) -> None:
    path = how_to(folder)
    record(path, *events)
    async with operator(folder, size=(120, 24)) as user:
        await user.on(WelcomeScreen)
        opens, *others = choices(user)[1:3]
        assert ("Resume" in others[0]) == resumes
        if not resumes:
            assert opens == "Open how-to.toml  (5 hosts)" + (words and f"  {words}")
        await user.sees(words)


async def test_a_run_in_another_terminal_is_said_to_be_one(folder: Path) -> None:
    path = how_to(folder)
    record(path, BEGUN)
    with lock_profile(lock_of(path, "how-to")):
        async with operator(folder, size=(120, 24)) as user:
            await user.on(WelcomeScreen)
            await user.sees("a run is under way since 20")
            assert not [choice for choice in choices(user) if "Resume" in choice]


async def test_a_time_that_no_calendar_has_is_no_time(folder: Path) -> None:
    path = how_to(folder)
    record(path, BEGUN)
    (events,) = runs_folder(path, "how-to").rglob("events.jsonl")
    events.write_text(re.sub(r'"t":[^,]+', '"t":1e300', events.read_text()))
    with lock_profile(lock_of(path, "how-to")):
        async with operator(folder, size=(120, 24)) as user:
            await user.on(WelcomeScreen)
            await user.sees("Open how-to.toml  (5 hosts)")


async def test_a_verification_leaves_nothing_to_resume(folder: Path) -> None:
    path = how_to(folder)
    record(path, BEGUN, verb="verify")
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        assert not [choice for choice in choices(user) if "Resume" in choice]


async def test_in_chinese(folder: Path) -> None:
    path = how_to(folder)
    record(path, BEGUN)
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        await user.wizard.speak("zh_CN")
        await user.sees("继续 how-to.toml：中断于 postgres/datastore/packages")


async def test_a_run_is_resumed_from_the_welcome(folder: Path, bench: Bench) -> None:
    flag = bench.root / "mended"
    bench.work("postgres/datastore/packages", f"test -e {flag}")
    async with started(folder, bench) as user:
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.FAILED
    flag.touch()
    async with operator(folder, backend=bench.backend) as user:
        await user.on(WelcomeScreen)
        await user.sees("Resume how-to.toml: failed at postgres/datastore/packages")
        await user.press("down", "down", "enter")
        screen = await user.on(ReviewScreen)
        await user.press("enter")
        await user.until(lambda: screen.plan is not None, "the plan")
        await user.until(lambda: isinstance(user.focused, Tree), "the changes")
        await user.press("ctrl+n")
        await user.on(ConfirmDialog)
        await user.press("tab", "enter")
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.OK


async def test_the_review_of_a_profile_that_is_there_has_its_key(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("f8")
        await user.on(ReviewScreen)
