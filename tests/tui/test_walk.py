"""From the welcome to the review, back and forth: what was typed is there again."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import DataTable, Input

from k3s_tui.tui.screens.review import ReviewScreen
from k3s_tui.tui.screens.welcome import WelcomeScreen
from k3s_tui.tui.steps import STEPS
from k3s_tui.tui.widgets.field import Field
from tests.tui.operator import Operator, how_to, operator


async def test_a_profile_in_the_folder_is_offered(folder: Path) -> None:
    how_to(folder)
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        await user.sees("Open how-to.toml  (5 hosts)")
        await user.press("down", "enter")
        screen = await user.at("hosts")
        assert screen.query_one(DataTable).row_count == 5


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_every_step_there_and_back(folder: Path, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        for step in STEPS[:-1]:
            await user.at(step.id)
            await user.press("ctrl+n")
        await user.on(ReviewScreen)
        await user.press("escape")
        for step in reversed(STEPS[:-1]):
            await user.at(step.id)
            await user.press("escape")
        await user.on(WelcomeScreen)


async def test_back_keeps_what_was_typed(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        await fill(user, ("datastore", "hostname"), "db.example.internal")
        await user.press("escape")
        await user.at("certificates")
        await user.press("ctrl+n")
        screen = await user.at("datastore")
        assert field(screen, ("datastore", "hostname")).value == "db.example.internal"


async def test_a_wrong_value_is_told_below_its_field_and_keeps_one_here(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        await fill(user, ("datastore", "user"), "K3s")
        await user.press("ctrl+n")
        screen = await user.at("datastore")
        told = next(f for f in screen.query(Field) if f.place == ("datastore", "user"))
        assert told.is_wrong
        assert user.focused is field(screen, ("datastore", "user"))
        assert "lower" in user.text
        await fill(user, ("datastore", "user"), "k3s")
        assert not told.is_wrong
        await user.press("ctrl+n")
        await user.at("servers")


@pytest.mark.parametrize("step", [step.id for step in STEPS])
async def test_another_language_at_once(folder: Path, step: str) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, step)
        english = user.text
        await user.wizard.speak("zh_CN")
        await user.at(step)
        await user.sees("下一步" if step != "review" else "开始")
        assert "F1 帮助" in user.text
        await user.wizard.speak("en")
        await user.at(step)
        await user.sees("F1 Help")
        assert user.text == english


async def test_the_language_from_the_welcome(folder: Path) -> None:
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        await user.press("down", "down", "down", "enter")
        await user.sees("新建集群")
        await user.press("down", "down", "enter")
        await user.sees("New cluster")


async def test_a_profile_that_is_no_toml_is_told_where(folder: Path) -> None:
    (folder / "broken.toml").write_text("schema = \n")
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        await user.press("down", "enter")
        await user.type("broken.toml")
        await user.press("enter")
        await user.sees("not valid TOML")
        await user.sees("1 | schema =")


async def test_problems_of_a_profile_lead_to_their_step(folder: Path) -> None:
    path = how_to(folder)
    path.write_text(path.read_text().replace('user = "k3s" ', 'user = "K3s" '))
    async with operator(folder, path) as user:
        await go(user, "review")
        await user.sees("The profile is not right yet")
        await user.press("down", "enter")
        await user.at("datastore")


async def go(user: Operator, step: str) -> None:
    """To a step that was visited before."""
    user.wizard.go(step)
    await user.at(step)


def field(screen: object, place: tuple[str, ...]) -> Input:
    for one in screen.query(Field):  # type: ignore[attr-defined]
        if one.place == place:
            found = one.query_one(Input)
            assert isinstance(found, Input)
            return found
    raise LookupError(place)


async def fill(user: Operator, place: tuple[str, ...], text: str) -> None:
    """Replace a field's text by typing."""
    field(user.wizard.screen, place).focus()
    await user.press("end", "ctrl+u")
    await user.type(text)
