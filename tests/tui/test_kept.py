"""What was typed and never saved, and how the wizard is to look, are there the next time."""

from __future__ import annotations

import stat
from pathlib import Path

import platformdirs

from k3s_tui.tui import kept, language
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.launch import Looks, _prepare
from k3s_tui.tui.screens.welcome import WelcomeScreen
from tests.tui.fields import field
from tests.tui.operator import Operator, how_to, operator
from tests.tui.test_walk import fill, go

NAME = ("datastore", "hostname")


async def change(user: Operator, name: str = "db.example.internal") -> None:
    await go(user, "datastore")
    await fill(user, NAME, name)


async def test_changes_that_were_not_saved_are_offered_again(folder: Path) -> None:
    path = how_to(folder)
    before = path.read_text()
    async with operator(folder, path) as user:
        await change(user)
        await user.press("ctrl+q")
    assert path.read_text() == before
    async with operator(folder, path) as user:
        await user.on(ConfirmDialog)
        await user.sees("Changes of how-to.toml were never saved.")
        await user.press("tab", "enter")
        await go(user, "datastore")
        assert field(user, *NAME).typed == "db.example.internal"
        await user.press("ctrl+s")
        await user.until(lambda: kept.unsaved(path) is None, "nothing left to save")
    assert "db.example.internal" in path.read_text()


async def test_left_out_they_are_as_the_file_says(folder: Path) -> None:
    path = how_to(folder)
    async with operator(folder, path) as user:
        await change(user)
        await user.press("escape")
    path.write_text(path.read_text() + "\n")
    async with operator(folder, path) as user:
        await user.on(ConfirmDialog)
        await user.sees("The file has changed since")
        await user.press("enter")
        await go(user, "datastore")
        assert field(user, *NAME).typed == "postgres.rancher.rke2"
    assert kept.unsaved(path) is None


async def test_a_profile_without_a_file_can_be_gone_on_with(folder: Path) -> None:
    async with operator(folder) as user:
        user.wizard.new_draft(folder / "mine.toml")
        user.wizard.go("datastore")
        await user.at("datastore")
        await fill(user, NAME, "db.mine.internal")
        await user.press("escape")
    async with operator(folder) as user:
        await user.on(WelcomeScreen)
        await user.sees("Go on with mine.toml, never saved")
        await user.press("down", "enter")
        await user.at("hosts")
        assert user.wizard.draft.get(NAME) == "db.mine.internal"
        assert not (folder / "mine.toml").exists()


async def test_no_secret_is_kept_with_them(folder: Path) -> None:
    path = how_to(folder)
    canary = "kingfisher-7Xq2"
    path.write_text(path.read_text().replace('"store:datastore.password"', f'"{canary}"'))
    async with operator(folder, path) as user:
        await change(user)
        user.wizard.draft.set(("k3s", "server-config"), {"token": canary, "debug": True})
        await user.press("escape")
    (file,) = (platformdirs.user_state_path("k3s-tui") / "drafts").iterdir()
    assert canary not in file.read_text()
    assert "db.example.internal" in file.read_text() and "debug" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_file_that_is_no_draft_is_left_alone(folder: Path) -> None:
    path = how_to(folder)
    async with operator(folder, path) as user:
        await change(user)
        await user.press("escape")
    (file,) = (platformdirs.user_state_path("k3s-tui") / "drafts").iterdir()
    for broken in (b"", b"\xff", b"format = 1", file.read_bytes().replace(b"draft-1", b"draft-9")):
        file.write_bytes(broken)
        async with operator(folder, path) as user:
            await user.at("hosts")


async def test_theme_and_language_are_those_of_the_last_time(folder: Path) -> None:
    async with operator(folder) as user:
        user.wizard.theme = "k3s-light"
        await user.until(lambda: kept.preferences().theme == "k3s-light")
        await user.wizard.speak("zh_CN")
        await user.sees("新建集群")
    async with operator(folder) as user:
        assert user.wizard.theme == "k3s-light"
    language.use("en")
    assert _prepare(Looks()) == ()
    assert language.current() == "zh_CN"
    _prepare(Looks(lang="en"))
    assert language.current() == "en"
