"""A run under the screen: the engine, its shells and its recording are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import OptionList

from k3s_tui.core.errors import Exit
from k3s_tui.procedure import deployment
from k3s_tui.tui import progress as folding
from k3s_tui.tui.dialogs.cancel import CancelDialog
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.help import HelpDialog
from k3s_tui.tui.dialogs.step import StepDialog
from k3s_tui.tui.progress import Progress
from k3s_tui.tui.screens.finish import FinishScreen
from k3s_tui.tui.screens.run import RunScreen
from k3s_tui.tui.screens.welcome import WelcomeScreen
from k3s_tui.tui.widgets.host_progress import HostProgress
from k3s_tui.tui.widgets.log_buffer import LogLine
from k3s_tui.tui.widgets.log_pane import LogView
from k3s_tui.tui.widgets.step_tree import StepTree
from tests.tui.bench import SECRET, Bench
from tests.tui.operator import Operator, how_to, operator

SIZES = [(60, 15), (80, 24), (120, 40)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "bench"
    root.mkdir()
    return Bench(root)


@asynccontextmanager
async def started(
    folder: Path, bench: Bench, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Operator]:
    """An operator who has just agreed to the plan."""
    async with operator(folder, how_to(folder), size, backend=bench.backend) as user:
        await user.at("hosts")
        profile = user.wizard.draft.checked.profile
        user.wizard.plan = await user.wizard.backend.plan(profile, allow_restart=False)
        user.wizard.start_run(profile, user.wizard.plan)
        await user.on(RunScreen)
        yield user
        run = user.wizard.run_controller
        if run is not None and run.running:
            run.stop()
            run.stop()
            await run.wait()


def progress(user: Operator) -> Progress:
    run = user.wizard.run_controller
    assert run is not None
    return run.progress


def exit_of(user: Operator) -> int:
    done = progress(user).done
    assert done is not None
    return done.exit


def labels(user: Operator) -> dict[str, str]:
    """By chapter, what its line says; those that are open end in 'open'."""
    tree = user.wizard.screen.query_one(StepTree)
    return {
        node.data.id: f"{node.label}{' open' if node.is_expanded else ''}"
        for node in tree.root.children
        if node.data is not None
    }


@pytest.mark.parametrize("size", SIZES)
async def test_a_good_run_ends_on_its_result(
    folder: Path, bench: Bench, size: tuple[int, int]
) -> None:
    first = bench.work("postgres/datastore/packages", bench.gate())
    bench.work("k3s-server-1/servers/k3s", "echo hello from k3s >&2", first)
    async with started(folder, bench, size) as user:
        await user.sees("waiting at gate")
        await user.sees("running")
        assert "step 0/2" in user.text
        bench.open()
        await user.on(FinishScreen)
        await user.sees("The cluster is up, and verified.")
        assert exit_of(user) == user.wizard.exit_code == Exit.OK


async def test_chapters_come_in_order_and_only_the_active_one_is_open(
    folder: Path, bench: Bench
) -> None:
    # The last chapter's step is the first of the plan.
    bench.work("k3s-agent/agents/k3s", bench.gate("late"))
    for number in range(12):
        (bench.root / f"there-{number}").write_text("there")
        bench.check(f"nginx/preflight/check-{number}", f"there-{number}")
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench, (80, 24)) as user:
        await user.until(lambda: progress(user).ended == 12)
        await user.until(
            lambda: [*labels(user)] == ["preflight", "datastore", "agents"], "the chapters in order"
        )
        await user.until(lambda: "open" in labels(user)["datastore"])
        assert labels(user)["preflight"].endswith("Preflight  12/12")
        bench.open()
        await user.until(lambda: labels(user)["datastore"].endswith("Datastore  1/1"), "folded")
        assert "open" in labels(user)["agents"]
        bench.open("late")
        await user.on(FinishScreen)


async def test_the_tree_follows_until_the_operator_moves(folder: Path, bench: Bench) -> None:
    first = bench.work("postgres/datastore/packages", bench.gate())
    second = bench.work("postgres/servers/k3s", bench.gate("two"), first)
    bench.work("postgres/agents/k3s", bench.gate("three"), second)
    async with started(folder, bench) as user:
        tree = user.wizard.screen.query_one(StepTree)

        def at() -> str:
            node = tree.cursor_node
            return node.data.id if node is not None and node.data is not None else ""

        await user.until(lambda: at() == "postgres/datastore/packages", "the first step")
        bench.open()
        await user.until(lambda: at() == "postgres/servers/k3s", "the second step")
        await user.press("home")
        assert not tree.following
        where = at()
        bench.open("two")
        await user.until(lambda: [s.id for s in progress(user).active] == ["postgres/agents/k3s"])
        await user.pilot.pause(0.3)
        assert at() == where
        await user.press("f")
        await user.until(lambda: at() == "postgres/agents/k3s", "following again")
        bench.open("three")
        await user.on(FinishScreen)


async def test_a_failure_tells_where_what_and_why_and_can_be_tried_again(
    folder: Path, bench: Bench
) -> None:
    allowed = bench.root / "allowed"
    first = bench.work("postgres/datastore/packages", "echo once >>" + str(bench.root / "count"))
    lines = "i=0; while [ $i -lt 30 ]; do echo line $i >&2; i=$((i+1)); done"
    second = bench.work(
        "postgres/datastore/settings", f"[ -e {allowed} ] || {{ {lines}; exit 3; }}", first
    )
    bench.work("k3s-server-1/servers/k3s", ":", second)
    async with started(folder, bench, (100, 50)) as user:
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.FAILED
        await user.sees("postgres/datastore/settings")
        assert "line 29" in user.text
        assert "line 15" in user.text
        assert "line 14" not in user.text
        assert "1 changed, 1 failed, 1 not done" in user.text
        assert "run again to resume" in user.text
        allowed.write_text("yes")
        await user.press("r")
        # What is missing was agreed to: nothing is asked.
        await user.until(lambda: len(bench.controllers) == 3 and not bench.controllers[2].running)
        await user.on(FinishScreen)
        await user.sees("The cluster is up, and verified.")
        assert (bench.root / "count").read_text() == "once\n"


async def test_a_new_change_is_asked_about_before_it_is_made(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", "exit 1")
    async with started(folder, bench) as user:
        await user.on(FinishScreen)
        bench.work("nginx/loadbalancer/packages")
        await user.press("r")
        await user.on(ConfirmDialog)
        await user.press("escape")
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.INTERRUPTED
        assert not bench.made("nginx/loadbalancer/packages")


async def test_stopping_gently_lets_steps_end_and_begins_none(folder: Path, bench: Bench) -> None:
    first = bench.work("postgres/datastore/packages", bench.gate())
    bench.work("k3s-server-1/servers/k3s", ":", first)
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        await user.press("x")
        dialog = await user.on(CancelDialog)
        assert dialog.query_one(OptionList).highlighted == 0  # go on: the safe answer
        await user.press("down", "enter")
        await user.on(RunScreen)
        await user.sees("stopping: steps under way end first")
        await user.press("x")
        await user.on(CancelDialog)
        await user.sees("Stop now")
        assert "Stop gently" not in user.text
        await user.press("escape")
        bench.open()
        await user.on(FinishScreen)
        await user.sees("Interrupted.")
        assert "running again goes on from there" in user.text
        assert exit_of(user) == Exit.INTERRUPTED
        assert bench.made("postgres/datastore/packages")
        assert not bench.made("k3s-server-1/servers/k3s")


async def test_stopping_now_ends_what_is_under_way(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        await user.press("ctrl+q")
        await user.on(CancelDialog)
        await user.press("down", "down", "enter")
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.INTERRUPTED
        assert progress(user).steps["postgres/datastore/packages"].state == "cancelled"
        bench.open()
        await asyncio.sleep(0.2)
        assert not bench.made("postgres/datastore/packages")


async def test_a_run_that_does_not_end_can_be_left(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        run = user.wizard.run_controller
        # As a host does that hangs: told to stop now, nothing comes to its end.
        monkeypatch.setattr(run, "stopping", "now")
        await user.press("x")
        await user.on(CancelDialog)
        await user.press("down", "enter")
        await user.until(lambda: user.wizard.abandoned, "left")
        assert user.wizard.return_value == Exit.INTERRUPTED
        bench.open()


async def test_going_on_changes_nothing(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        await user.press("x")
        await user.on(CancelDialog)
        await user.press("enter")
        await user.on(RunScreen)
        assert user.wizard.run_controller and not user.wizard.run_controller.stopping
        bench.open()
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.OK


async def test_a_run_that_ends_below_a_question_is_shown_after_it(
    folder: Path, bench: Bench
) -> None:
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        await user.press("x")
        await user.on(CancelDialog)
        bench.open()
        await user.until(lambda: progress(user).done is not None)
        await user.pilot.pause(0.3)
        await user.on(CancelDialog)
        await user.press("down", "enter")
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.OK
        assert len(user.wizard.screen_stack) == 2


async def test_leaving_the_screen_does_not_stop_the_run(folder: Path, bench: Bench) -> None:
    first = bench.work("postgres/datastore/packages", bench.gate())
    bench.work("k3s-server-1/servers/k3s", bench.gate("two"), first)
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        await user.press("escape")
        await user.on(RunScreen)
        user.wizard.show_welcome()
        await user.on(WelcomeScreen)
        bench.open()
        await user.until(lambda: progress(user).ended == 1, "the run goes on")
        titles = [c.title for c in user.wizard.get_system_commands(user.wizard.screen)]
        assert "Go to the run" in titles
        user.wizard.show_run()
        await user.on(RunScreen)
        await user.sees("waiting at gate")  # what was said before is there again
        await user.sees("step 1/2")
        user.wizard.show_welcome()
        await user.on(WelcomeScreen)
        bench.open("two")
        await user.until(lambda: not user.wizard.run_controller.running)  # type: ignore[union-attr]
        await user.on(WelcomeScreen)
        user.wizard.show_run()
        await user.on(RunScreen)
        await user.sees("done")
        await user.press("escape")
        await user.on(FinishScreen)


async def test_a_question_of_the_run_comes_up_over_any_screen(folder: Path, bench: Bench) -> None:
    bench.question = "Is [/ the host key right?"
    bench.work("postgres/datastore/packages")
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        profile = user.wizard.draft.checked.profile
        bench.question = ""
        plan = await user.wizard.backend.plan(profile, allow_restart=False)
        bench.question = "Is [/ the host key right?"
        user.wizard.run_controller = user.wizard.backend.start(profile, plan, allow_restart=False)
        await user.on(ConfirmDialog)
        await user.sees("Is [/ the host key right?")
        await user.press("tab", "enter")
        await user.at("hosts")
        await user.wizard.run_controller.wait()
        assert exit_of(user) == Exit.OK


async def test_a_run_that_is_stopped_withdraws_its_question(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages")
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        profile = user.wizard.draft.checked.profile
        user.wizard.plan = await user.wizard.backend.plan(profile, allow_restart=False)
        bench.question = "Is it?"
        user.wizard.start_run(profile, user.wizard.plan)
        await user.on(ConfirmDialog)
        await user.press("ctrl+q")
        await user.on(CancelDialog)
        await user.press("down", "down", "enter")
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.INTERRUPTED
        assert len(user.wizard.screen_stack) == 2


HOSTILE = [
    "[/usr/lib] [b",
    "[@click=app.quit]here[/]",
    "\033[2J\033]52;c;aGVsbG8=\007gone",
    "abc\u202egnp.exe",
    "x" * 10_000,
]


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_lines_are_shown_and_do_no_harm(
    folder: Path, bench: Bench, size: tuple[int, int]
) -> None:
    source = bench.root / "hostile"
    source.write_text("\n".join([*HOSTILE, f"the password is {SECRET}", "last line"]) + "\n")
    said = bench.work("postgres/datastore/packages", f"cat {source} >&2\n{bench.gate()}")
    bench.work("postgres/datastore/settings", f"cat {source} >&2; exit 1", said)
    async with started(folder, bench, size) as user:
        await user.sees("last line")
        await user.press("z", "l")
        seen = "\n".join(line.text for line in _log(user))
        assert "[/usr/lib] [b" in seen
        assert "\\x1b]52" in seen
        assert "\\u202e" in seen
        assert "\033" not in user.text + seen
        assert SECRET not in seen
        bench.open()
        await user.on(FinishScreen)
        for _ in range(3):
            await user.press("pagedown")
            assert SECRET not in user.text
        assert exit_of(user) == Exit.FAILED
        await user.press("l")
        await user.on(RunScreen)
        tree = user.wizard.screen.query_one(StepTree)
        await user.until(lambda: tree.cursor_node and tree.cursor_node.data)
        await user.press("enter")
        await user.on(StepDialog)
        assert "\033" not in user.text


def _log(user: Operator) -> list[LogLine]:
    run = user.wizard.run_controller
    assert run is not None
    return run.log.since(0)


async def test_a_silent_step_says_what_it_waits_for_and_shows_the_journal(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "STALLED_AFTER", 0.2)
    journal = f"printf 'k3s says [/ \\033]52;c;x\\007 and {SECRET}\\nsecond line\\n'"
    monkeypatch.setattr(deployment, "_JOURNAL", journal)
    first = bench.work("postgres/datastore/packages", "true")
    bench.check("k3s-server-1/servers/ready", "gate", first)
    async with started(folder, bench) as user:
        await user.sees("! k3s-server-1/servers/ready: no word for")
        await user.sees("gate is not there")
        await user.sees("journal of k3s-server-1:")
        await user.sees("k3s says [/ \\x1b]52;c;x\\x07 and •••")
        await user.sees("! silent")
        assert SECRET not in user.text
        bench.open()
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.OK


async def test_a_journal_that_cannot_be_read_stops_nothing(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "STALLED_AFTER", 0.2)
    monkeypatch.setattr(deployment, "_JOURNAL_SECONDS", 0.3)
    monkeypatch.setattr(deployment, "_JOURNAL", bench.gate("never"))
    first = bench.work("postgres/datastore/packages", "true")
    bench.check("k3s-server-1/servers/ready", "gate", first)
    async with started(folder, bench) as user:
        await user.sees("the journal was not read within")
        bench.open()
        await user.on(FinishScreen)
        assert exit_of(user) == Exit.OK


@pytest.mark.parametrize("size", SIZES)
async def test_panes_are_reached_by_keys_and_shown_alone(
    folder: Path, bench: Bench, size: tuple[int, int]
) -> None:
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench, size) as user:
        await user.sees("waiting at gate")
        screen = user.wizard.screen
        panes = {
            "s": screen.query_one(StepTree),
            "l": screen.query_one(LogView),
            "h": screen.query_one(HostProgress),
        }
        for key in ("l", "s", "h"):
            await user.press(key)
            await user.until(partial(getattr, panes[key], "has_focus"), key)
            assert panes[key].region.height > 0
        await user.press("s", "z")
        assert panes["s"].region.height > 0
        assert panes["l"].region.height == panes["h"].region.height == 0
        await user.press("h")
        assert panes["h"].region.height > 0
        assert panes["s"].region.height == 0
        await user.press("escape")
        assert panes["s"].region.height > 0
        assert panes["l"].region.height > 0
        await user.press("s", "slash")
        await user.type("gate")
        await user.press("enter")
        await user.until(lambda: len(screen.query_one(LogView).excerpt.hits) == 1)
        await user.press("1")
        assert screen.query_one(LogView).excerpt.host == "postgres"


async def test_ten_hosts_each_have_their_log(folder: Path, bench: Bench) -> None:
    """By the brackets from wherever one is, and by the palette."""
    names = [f"node-{n}" for n in range(1, 11)]
    for name in names:
        bench.work(f"{name}/agents/packages", f"echo here is {name} >&2; {bench.gate()}")
    async with started(folder, bench) as user:
        screen = await user.on(RunScreen)
        view = screen.query_one(LogView)
        await user.until(lambda: len(view.excerpt.buffer.hosts) == 10, "ten hosts")
        assert screen.step_tree.has_focus
        await user.press("left_square_bracket")
        last = view.excerpt.buffer.hosts[9]
        assert view.excerpt.host == last
        await user.press("left_square_bracket")
        assert view.excerpt.host == view.excerpt.buffer.hosts[8]
        titles = {command.title: command.callback for command in screen.commands()}
        titles["Next host"]()
        assert view.excerpt.host == last
        titles["Log of all hosts"]()
        assert view.excerpt.host == ""
        bench.open()
        await user.on(FinishScreen)


async def test_help_names_only_keys_that_do_something(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        await user.press("f1")
        dialog = await user.on(HelpDialog)
        keys = dict(dialog._keys)
        assert (keys["0"], keys["1"]) == ("All hosts", "One host")
        assert "F3" not in keys and "f3" not in keys
        await user.press("escape")


async def test_each_host_has_a_bar_and_what_it_does(folder: Path, bench: Bench) -> None:
    first = bench.work("postgres/datastore/packages")
    bench.work("postgres/datastore/settings", bench.gate(), first)
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        await user.sees("50 % Datastore: settings, last word 00:0")
        await user.sees("▇▇▇▇▇░░░░░")


async def test_a_bug_is_told_as_one_with_a_report(folder: Path, bench: Bench) -> None:
    def bug() -> None:
        raise RuntimeError(f"[/ unforeseen {SECRET}")

    bench.work("postgres/datastore/packages", within=bug)
    async with started(folder, bench) as user:
        await user.on(FinishScreen)
        await user.sees("A bug in k3s-tui ended this run.")
        await user.sees("-report.tar.gz")
        assert exit_of(user) == user.wizard.exit_code == Exit.BUG
        run = user.wizard.run_controller
        assert run is not None and run.path is not None
        assert list(run.path.parent.parent.glob("*-report.tar.gz"))


async def test_a_run_may_end_while_the_application_ends(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        bench.open()
        run = user.wizard.run_controller
        assert run is not None
        await run.wait()
        user.wizard.exit()
        await user.wizard.push_screen(FinishScreen(run))


async def test_another_language_keeps_the_run_on_the_screen(folder: Path, bench: Bench) -> None:
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        screen = await user.on(RunScreen)
        speaking = asyncio.create_task(user.wizard.speak("zh_CN"))
        while not speaking.done():
            screen._draw()  # as its timer may at any moment
            await asyncio.sleep(0)
        await speaking
        await user.sees("packages")
        await user.sees("waiting at gate")
        bench.open()
        await user.on(FinishScreen)


@pytest.mark.parametrize(("line", "seconds"), [("", 0.1), ("192.0.2.7 51512 192.0.2.1 22", 0.2)])
async def test_over_ssh_it_is_drawn_half_as_often(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch, line: str, seconds: float
) -> None:
    if line:
        monkeypatch.setenv("SSH_CONNECTION", line)
    bench.work("postgres/datastore/packages", bench.gate())
    async with started(folder, bench) as user:
        await user.sees("waiting at gate")
        screen = await user.on(RunScreen)
        (drawing,) = [timer for timer in screen._timers if timer._callback == screen._draw]
        assert drawing._interval == seconds
        bench.open()
        await user.on(FinishScreen)
