"""The plan before anything is touched, and what somebody has to allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Button, Checkbox, Static, Tree

from k3s_tui.core.errors import Exit
from k3s_tui.resources.postgres.standing import ForeignSession
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.screens.finish import FinishScreen
from tests.tui.bench import Bench
from tests.tui.operator import Operator, how_to, operator

SESSION = ForeignSession("wiki", "shop", "10.0.0.9", 2)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "bench"
    root.mkdir()
    bench = Bench(root)
    bench.work("postgres/datastore/role")
    return bench


def allow(user: Operator) -> Checkbox:
    return user.wizard.screen.query_one("#allow-restart", Checkbox)


async def looked(user: Operator) -> None:
    """At the hosts, from the step before."""
    user.wizard.go("review")
    await user.at("review")
    await user.press("enter")


def command(user: Operator) -> str:
    return str(user.wizard.screen.query_one("#command", Static).render())


def may_start(user: Operator) -> bool:
    return not user.wizard.screen.query_one("#next", Button).disabled


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_a_restart_under_sessions_of_others(
    folder: Path, bench: Bench, size: tuple[int, int]
) -> None:
    bench.sessions = (SESSION,)
    async with operator(folder, how_to(folder), size, backend=bench.backend) as user:
        await user.at("hosts")
        await looked(user)
        await user.sees("1 thing stands against it")
        await user.sees("PostgreSQL may restart, and end those sessions")
        assert not may_start(user) and "--allow-restart" not in command(user)
        for _ in range(20):
            if user.focused is allow(user):
                break
            await user.press("tab")
        await user.press("space")
        await user.until(lambda: may_start(user), "another plan")
        assert command(user).endswith("--allow-restart")
        assert user.wizard.plan is not None
        told = [item.warning for item in user.wizard.plan.items.values() if item.warning]
        assert len(told) == 1 and "2 sessions of shop from 10.0.0.9" in told[0]
        await user.press("tab")
        user.wizard.screen.query_one("#next", Button).press()
        await user.on(ConfirmDialog)
        user.wizard.screen.query_one("#yes", Button).press()
        await user.on(FinishScreen)
        run = user.wizard.run_controller
        assert run is not None and run.progress.done is not None
        assert run.progress.done.exit == Exit.OK and bench.made("postgres/datastore/role")


async def test_what_was_allowed_is_taken_back(folder: Path, bench: Bench) -> None:
    bench.sessions = (SESSION,)
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        await looked(user)
        await user.until(lambda: allow(user).display)
        allow(user).toggle()
        await user.until(lambda: may_start(user), "allowed")
        # It stays while one goes to and fro in the wizard, and is seen.
        await looked(user)
        await user.until(lambda: may_start(user), "still allowed")
        assert allow(user).display and allow(user).value
        allow(user).toggle()
        await user.until(lambda: not may_start(user), "taken back")
        await user.sees("1 thing stands against it")
        assert "--allow-restart" not in command(user)


async def test_where_nobody_is_in_the_way_nothing_is_asked(folder: Path, bench: Bench) -> None:
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        await looked(user)
        await user.until(lambda: may_start(user), "the plan")
        assert not allow(user).display


async def test_another_profile_begins_anew(folder: Path, bench: Bench) -> None:
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        user.wizard.allow_restart = True
        user.wizard.open(user.wizard.draft.path)
        await user.at("hosts")
        assert not user.wizard.allow_restart


async def test_in_chinese(folder: Path, bench: Bench) -> None:
    bench.sessions = (SESSION,)
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        await user.wizard.speak("zh")
        await looked(user)
        await user.sees("PostgreSQL 可以重启")


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_the_arrows_show_the_changes_at_once(
    folder: Path, bench: Bench, size: tuple[int, int]
) -> None:
    bench.work("postgres/datastore/other", summary="make another")
    bench.check("k3s-agent/preflight/disk", "never", warning=True)
    async with operator(folder, how_to(folder), size, backend=bench.backend) as user:
        await user.at("hosts")
        await looked(user)
        await user.until(lambda: isinstance(user.focused, Tree), "the plan")
        await user.until(lambda: "postgres/datastore/role" in shown(user), "the first change")
        assert "+ it" in shown(user)
        await user.press("down")
        await user.until(lambda: "make another" in shown(user), "the second one")
        await user.sees("^n Start")
        await user.press("ctrl+n")
        await user.on(ConfirmDialog)


async def test_what_a_change_does_to_others_is_told_with_it(folder: Path, bench: Bench) -> None:
    step = bench.work("postgres/datastore/other", summary="make another", warning="not for long")
    async with operator(folder, how_to(folder), (120, 40), backend=bench.backend) as user:
        await user.at("hosts")
        await looked(user)
        await user.sees("make another ! not for long")
        assert user.wizard.plan is not None
        assert user.wizard.plan.items[step].verdict == "change"


async def test_where_nothing_is_to_change_it_can_be_started(folder: Path, bench: Bench) -> None:
    (bench.root / "postgres-datastore-role").write_text("made")
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        await looked(user)
        await user.sees("everything is as wanted")
        assert user.focused is user.wizard.screen.query_one("#next")


async def test_another_language_keeps_the_plan(folder: Path, bench: Bench) -> None:
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        await looked(user)
        await user.until(lambda: may_start(user), "the plan")
        await user.wizard.speak("zh_CN")
        await user.at("review")
        await user.sees("1 项更改")
        assert may_start(user)
        await user.until(lambda: "+ it" in shown(user), "the change")
        await user.wizard.speak("en")
        await user.at("review")
        await user.sees("1 to change")
        assert may_start(user)


async def test_a_look_is_said_to_write_on_this_machine(folder: Path, bench: Bench) -> None:
    async with operator(folder, how_to(folder), backend=bench.backend) as user:
        await user.at("hosts")
        user.wizard.go("review")
        await user.at("review")
        await user.sees("A look saves the profile")


def shown(user: Operator) -> str:
    """What stands beside the plan."""
    return str(user.wizard.screen.query_one("#diff", Static).render())
