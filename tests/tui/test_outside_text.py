"""Text from outside where Textual itself would read markup in it, or hand it to the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Input, OptionList, Tree

from k3s_tui.core.events import AnyEvent, Planned, RunDone, RunStarted, StepDone, StepStarted
from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.replay import Recorded
from k3s_tui.tui.screens.welcome import WelcomeScreen
from tests.tui.fields import HOSTILE, SIZES
from tests.tui.operator import Operator, how_to, operator
from tests.tui.test_welcome import record

NOTE = "\x1b]0;title\x07 [/usr/lib] [b [@click=app.quit]x[/]"


async def test_a_notification_is_text(folder: Path) -> None:
    wizard = Wizard(Settings(folder=folder))
    async with wizard.run_test(size=(120, 24), notifications=True) as pilot:
        user = Operator(wizard, pilot)
        wizard.screen.notify(NOTE, title=NOTE, timeout=60, markup=True)
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


def harmless(user: Operator) -> bool:
    return not set(user.text) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize("size", SIZES)
async def test_the_plan_shows_text_as_it_is(folder: Path, size: tuple[int, int]) -> None:
    """Summaries, diffs, hints and warnings, and what stands above the plan."""
    events: list[AnyEvent] = [
        RunStarted(t=1, tool="", run="r", verb="apply", profile="", hosts=["postgres"])
    ]
    for number, text in enumerate(HOSTILE):
        for verdict in ("change", "problem"):
            events.append(
                Planned(
                    step=f"postgres/datastore/{verdict}-{number}",
                    host="postgres",
                    verdict=verdict,
                    summary=text,
                    diff="\n".join([text] * 3),
                    hint=text,
                    warning=text if verdict == "problem" and number % 2 else "",
                )
            )
    async with operator(folder, how_to(folder), size, backend=lambda *_: Recorded(events)) as user:
        await user.at("hosts")
        user.wizard.go("review")
        screen = await user.at("review")
        await user.press("p")
        await user.until(lambda: user.wizard.plan is not None, "the plan")
        tree = screen.query_one(Tree)
        tree.focus()
        await user.press("home")
        for _ in range(len(events)):
            await user.press("down")
            assert harmless(user)
        await user.press("home", "enter", "enter", "end")
        assert harmless(user) and user.wizard.is_running
        for text in HOSTILE:
            screen._say(text, wrong=True)  # type: ignore[attr-defined]
            await user.pilot.pause()
            assert harmless(user)
        await user.wizard.speak("zh_CN")
        await user.at("review")
        assert harmless(user)


@pytest.mark.parametrize("size", SIZES)
async def test_the_welcome_shows_text_as_it_is(folder: Path, size: tuple[int, int]) -> None:
    """Names of files, where a run has ended, and why."""
    content = how_to(folder).read_text()
    for number, text in enumerate(HOSTILE):
        name = text.replace("/", "-")[:60]
        path = folder / f"{number}{name}.toml"
        path.write_text(content)
        if number % 2:
            failed = StepDone(step=text, host="postgres", outcome="failed")
            record(path, StepStarted(step=text, host="postgres"), failed, RunDone(exit=1))
        else:
            record(path, RunDone(exit=5, error=text))
    async with operator(folder, size=size) as user:
        await user.on(WelcomeScreen)
        options = user.wizard.screen.query_one(OptionList)
        assert options.option_count > len(HOSTILE) + 5
        for _ in range(options.option_count):
            await user.press("down")
            assert harmless(user)
        await user.press("home", "enter")
        user.wizard.screen.query_one("#path", Input).value = "[b]\x1b[2J/\u202e.toml"
        await user.press("enter")
        await user.sees("there is no folder")
        assert harmless(user) and user.wizard.is_running
