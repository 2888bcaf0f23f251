"""Text from outside where Textual itself would read markup in it, or hand it to the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Input, OptionList

from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.draft import Draft
from tests.tui.operator import Operator, how_to, operator

HOSTILE = "\x1b]0;title\x07 [/usr/lib] [b [@click=app.quit]x[/]"


async def test_a_notification_is_text(folder: Path) -> None:
    wizard = Wizard(Settings(folder=folder))
    async with wizard.run_test(size=(120, 24), notifications=True) as pilot:
        user = Operator(wizard, pilot)
        wizard.screen.notify(HOSTILE, title=HOSTILE, timeout=60, markup=True)
        await user.sees("\\x1b]0;title\\x07 [/usr/lib]")
        assert "\x1b" not in user.text


@pytest.mark.parametrize("name", ["[/usr]", "[@click=app.quit]x[/]".replace("/", "-"), "[b"])
async def test_the_palette_of_a_profile_with_such_a_path(folder: Path, name: str) -> None:
    inside = folder / name
    inside.mkdir(parents=True)
    async with operator(inside, how_to(inside)) as user:
        await user.at("hosts")
        await user.press("ctrl+p")
        palette = await user.on(CommandPalette)
        commands = palette.query_one(OptionList)
        await user.until(lambda: commands.option_count > 5, "commands")
        palette.query_one(Input).value = "save"
        await user.sees("Save the profile")
        await user.press("down", "enter")
        await user.until(lambda: not isinstance(user.wizard.screen, CommandPalette), "saved")
    assert Draft.open(inside / "how-to.toml").checked.profile.name
