"""Keys faster than screens, windows smaller than anything, and an end in the middle of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

from k3s_tui.tui.app import Wizard
from k3s_tui.tui.dialogs.cancel import CancelDialog
from k3s_tui.tui.dialogs.paste import PasteDialog
from k3s_tui.tui.steps import STEPS
from tests.tui.fields import field, go
from tests.tui.operator import Operator, how_to, operator


async def test_steps_are_drawn_while_keys_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is drawn at once, but not all of them together: the terminal would stand still."""
    drawn: list[str] = []
    display = Wizard._display

    def seen(self: Wizard, screen: Screen[Any], renderable: Any) -> None:
        if not self._batch_count:
            drawn.append(self.current_step)
        display(self, screen, renderable)

    monkeypatch.setattr(Wizard, "_display", seen)
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        for key in [*("f3", "f4", "f5", "f6", "f7") * 4, "f2"]:
            user.wizard.simulate_key(key)
            await asyncio.sleep(0.02)  # as a key repeats
        await user.until(lambda: len(drawn) > 2 and drawn[-1] == "hosts", "the last of them")
        assert len(set(drawn)) > 3
        await go(user, "servers")
        await user.sees("K3s version")


@pytest.mark.parametrize("step", [step.id for step in STEPS])
async def test_an_end_while_steps_come_up(folder: Path, step: str) -> None:
    """A screen that has not all of its widgets yet is no bug of ours."""
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        for _ in range(3):
            user.wizard.go(step)
            user.wizard.go("servers")
        user.wizard.go(step)
        user.wizard.exit(143)
    assert user.wizard.return_value == 143
    assert user.wizard.crash is None


async def shrink(user: Operator) -> None:
    """To nothing, and back."""
    for width in (*range(15, 0, -1), 80):
        await user.pilot.resize_terminal(width, 24 if width == 80 else 5)
        await user.pilot.pause()


@pytest.mark.parametrize(
    "dialog", [CancelDialog, PasteDialog, None], ids=["stop", "paste", "palette"]
)
async def test_windows_smaller_than_a_dialog(folder: Path, dialog: Any) -> None:
    async with operator(folder, how_to(folder)) as user:
        screen = await user.at("hosts")
        if dialog is None:
            await user.press("ctrl+p")
        elif dialog is PasteDialog:
            await user.press("v")
        else:
            user.wizard.push_screen(dialog())
        await user.until(lambda: user.wizard.screen is not screen, "the dialog")
        await shrink(user)
        await user.press("escape")
        await user.until(lambda: user.wizard.screen is screen, "the step again")


async def test_windows_smaller_than_the_welcome(folder: Path) -> None:
    async with operator(folder) as user:
        await user.sees("k3s-tui")
        await shrink(user)
        await user.sees("New")


@pytest.mark.parametrize(("step", "place"), [("datastore", "ca"), ("datastore", "user")])
async def test_what_has_the_focus_stays_in_sight(folder: Path, step: str, place: str) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, step)
        field(user, step, place).focus_input()
        await user.pilot.resize_terminal(60, 9)

        def is_in_sight() -> bool:
            body = user.wizard.screen.query_one("#body")
            assert user.focused is not None
            return body.region.contains_region(user.focused.region)

        await user.until(is_in_sight, "the field")
