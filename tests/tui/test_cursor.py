"""The terminal's cursor is where the operator is: screen readers read the line that it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import DataTable, OptionList, Select, Tree

from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.autoplay import walk
from k3s_tui.tui.dialogs.cancel import CancelDialog
from k3s_tui.tui.replay import DEMO, recorded
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.log_view import LogView
from tests.tui.operator import Operator, how_to, operator
from tests.tui.screenshots import Held, HeldBackend

LISTS = (OptionList, Tree, DataTable)


def highlighted(widget: Widget) -> str:
    """How the highlighted row of a list begins, up to where an ellipsis may be."""
    text = ""
    if isinstance(widget, OptionList) and widget.highlighted is not None:
        text = str(widget.get_option_at_index(widget.highlighted).prompt)
    if isinstance(widget, Tree) and widget.cursor_node is not None:
        text = str(widget.cursor_node.label)
    if isinstance(widget, DataTable) and widget.row_count:
        text = str(widget.get_row_at(widget.cursor_row)[0])
    return text.partition("…")[0][:12].strip()


def lost(user: Operator) -> str:
    """Where the cursor is when it is not with what has the focus; '' when it is."""
    widget, at = user.focused, user.wizard.cursor_position
    assert widget is not None
    line = user.text.splitlines()[min(at.y, user.wizard.size.height - 1)]
    if widget.region.contains_point(at) and highlighted(widget) in line:
        return ""
    return f"{widget} {widget.region}, {highlighted(widget)!r}: the cursor is at {at}: {line!r}"


async def visit(user: Operator, name: str) -> set[str]:
    """Focus everything on a screen, and move in each list; returns which lists there were."""
    screen, before = user.wizard.screen, user.focused
    found = set()
    for widget in screen.focus_chain:
        if isinstance(widget, LogView):
            continue  # which has its own tests
        screen.set_focus(widget)
        await user.until(lambda: not lost(user), f"the cursor on {name}")
        if isinstance(widget, Select):
            await user.press("enter")
            await user.until(lambda: isinstance(user.focused, OptionList), "choices")
        if isinstance(user.focused, LISTS):
            found.add(type(user.focused).__name__)
            for key in ("down", "down", "up"):
                await user.press(key)
                await user.until(lambda: not lost(user), f"the cursor on {name}")
        if isinstance(widget, Select):
            await user.press("escape")
    screen.set_focus(before)
    return found


@pytest.mark.parametrize("size", [(60, 15), (120, 40)])
async def test_it_is_in_the_highlighted_row_of_every_screen(
    folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "how-to.toml").write_text((DEMO / "how-to.toml").read_text())
    events = recorded()
    backend = HeldBackend(events)
    wizard = Wizard(Settings(backend=lambda *_: backend, clock=lambda: events[-1].t))
    found: dict[str, set[str]] = {}
    async with wizard.run_test(size=size) as pilot:
        user = Operator(wizard, pilot)

        async def seen(name: str) -> None:
            await pilot.pause()
            found[name] = await visit(user, name)
            run = wizard.run_controller
            if isinstance(run, Held) and name == "run":
                run.forward(len(events))

        await seen("welcome")
        await to_the_first(pilot)
        await walk(pilot, seen)
    assert found["welcome"] == {"OptionList"}
    assert "OptionList" in found["certificates"]
    assert "HostTable" in found["hosts"]
    assert "SelectOverlay" in found["datastore"] and "NodeTable" in found["agents"]
    assert "StepTree" in found["run"]
    assert found["plan"]


async def to_the_first(pilot: Pilot[Any]) -> None:
    await pilot.press("home", "down", "enter")


async def test_a_dialog_takes_it_and_gives_it_back(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("down")
        before = user.wizard.cursor_position
        user.wizard.push_screen(CancelDialog())
        await user.on(CancelDialog)
        await user.press("down")
        await user.until(lambda: not lost(user), "the cursor in the dialog")
        assert user.wizard.cursor_position != before
        await user.press("escape")
        await user.until(lambda: user.wizard.cursor_position == before, "the cursor in the table")


async def test_it_goes_along_when_what_is_above_grows(folder: Path) -> None:
    async with operator(folder, how_to(folder), size=(120, 40)) as user:
        user.wizard.go("agents")
        screen = await user.at("agents")
        table = screen.query_one(DataTable)
        screen.set_focus(table)
        await user.until(lambda: table.has_focus and not lost(user), "the cursor in the table")
        before = user.wizard.cursor_position
        screen.query(Field).first().fix("said\nin\nfour\nlines")
        await user.until(lambda: table.region.y > before.y, "it moves")
        await user.until(lambda: not lost(user), "the cursor in the table")
