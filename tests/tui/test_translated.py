"""What Textual itself would say in English, or with its markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Input

from k3s_tui.tui import language
from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.screens.welcome import WelcomeScreen
from tests.tui.operator import Operator, how_to, operator


@pytest.mark.parametrize(("lang", "words"), [("en", "ends k3s-tui"), ("zh_CN", "退出 k3s-tui")])
async def test_ctrl_c_says_how_to_leave(folder: Path, lang: str, words: str) -> None:
    language.use(lang)
    wizard = Wizard(Settings(folder=folder))
    async with wizard.run_test(size=(80, 24), notifications=True) as pilot:
        user = Operator(wizard, pilot)
        await user.on(WelcomeScreen)
        await user.press("ctrl+c")
        await user.sees(words)
        assert "[b]" not in user.text and "quit the app" not in user.text


async def test_what_cannot_be_shown_is_not_spoken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "linux")
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.wizard.speak("zh_CN")
        await user.until(lambda: user.wizard._notifications, "a word")
        (told,) = user.wizard._notifications
        assert "because a Linux console" in told.message
        assert language.current() == "en"


async def test_the_palettes_speak_chinese(folder: Path) -> None:
    language.use("zh_CN")
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        await user.press("ctrl+p")
        palette = await user.on(CommandPalette)
        await user.sees("搜索命令")
        palette.query_one(Input).value = "qqqqq"
        await user.sees("没有匹配项")
        assert "No matches" not in user.text
        await user.press("escape")
        user.wizard.action_change_theme()
        await user.on(CommandPalette)
        await user.sees("搜索主题")
