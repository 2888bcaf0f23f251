"""The mouse does what the keys do."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Button, DataTable, OptionList, Select

from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.screens.welcome import WelcomeScreen
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.key_bar import KeyBar
from tests.tui.operator import Operator, how_to, operator


async def click(user: Operator, text: str) -> None:
    """Where this text stands on the screen."""
    for y, line in enumerate(user.text.splitlines()):
        if text in line:
            await user.pilot.click(offset=(line.index(text), y))
            await user.pilot.pause()
            return
    raise AssertionError(f"{text!r} is not shown\n{user.text}")


async def test_from_the_welcome_through_steps_and_back(folder: Path) -> None:
    how_to(folder)
    async with operator(folder) as user:
        screen = await user.on(WelcomeScreen)
        assert screen.query_one(OptionList)
        await click(user, "Open how-to.toml")
        await user.at("hosts")
        await click(user, "Next")
        await user.at("certificates")
        await click(user, "Back")
        await user.at("hosts")


async def test_the_step_bar_leads_to_steps_that_were_visited(folder: Path) -> None:
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        user.wizard.new_draft(folder / "new.toml")
        user.wizard.go("hosts")
        await user.at("hosts")
        await click(user, "7 Review")
        assert user.wizard.current_step == "hosts"  # never visited: a bell, and no more
        user.wizard.go("servers")
        await user.at("servers")
        await click(user, "1 Hosts")
        await user.at("hosts")
        await click(user, "4 Servers")
        await user.at("servers")


async def test_the_step_bar_leads_anywhere_in_a_profile_that_is_there(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await click(user, "7 Review")
        await user.at("review")
        await click(user, "2 Certs")
        await user.at("certificates")


async def test_a_choice_and_a_key_of_the_footer(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        user.wizard.go("datastore")
        screen = await user.at("datastore")
        entry = next(f for f in screen.query(Field) if f.place == ("datastore", "hosts-entry"))
        await user.pilot.click(entry.query_one(Select))
        await user.sees("no, DNS knows the name")
        await click(user, "no, DNS knows the name")
        await user.until(lambda: user.wizard.draft.get(entry.place) == "never", "chosen")
        assert screen.query_one(KeyBar)
        await click(user, "Esc Back")
        await user.at("certificates")


async def test_a_row_is_chosen_and_edited(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        screen = await user.at("hosts")
        table = screen.query_one(DataTable)
        await click(user, "k3s-agent")
        assert table.cursor_row == 2
        await click(user, "k3s-agent")
        dialog = await user.on(HostDialog)
        await user.pilot.click(dialog.query_one("#cancel", Button))
        await user.at("hosts")
