"""Step 1: hosts typed, looked at in their table, and taken out again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from textual.geometry import Offset
from textual.widgets import Input

from k3s_tui.procedure.probing import Found, Told
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.screens.hosts import HostsScreen
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.host_table import HostTable
from k3s_tui.tui.widgets.rows import Rows
from tests.tui.operator import Operator, how_to, operator
from tests.tui.test_host_lists import HOSTILE, SIZES


def field(dialog: HostDialog, key: str) -> Field:
    (found,) = [f for f in dialog.query(Field) if f.place == (key,)]
    return found


def problem(dialog: HostDialog, key: str) -> str:
    return field(dialog, key).problem


async def test_a_host_by_the_keyboard_alone(folder: Path) -> None:
    async with operator(folder) as user:
        user.wizard.new_draft(folder / "mine.toml")
        user.wizard.go("hosts")
        await user.at("hosts")
        await user.sees("No host yet: a adds one")
        await user.press("a")
        await user.on(HostDialog)
        await user.type("node-1")
        await user.press("tab")
        await user.type("10.0.0.1")
        await user.press("ctrl+s")
        await user.on(HostsScreen)
        assert user.wizard.draft.hosts == {"node-1": {"address": "10.0.0.1", "roles": ["server"]}}
        await user.sees("node-1")

        await user.press("enter")
        dialog = await user.on(HostDialog)
        assert dialog.query_one(Input).value == "node-1"
        await user.type("node-one")
        await user.press("tab", "tab", "tab", "space")  # an agent, too
        await user.sees("[x] agent")
        await user.press("shift+tab", "space")  # and no server
        await user.sees("[ ] server")
        await user.press("ctrl+s")
        await user.on(HostsScreen)
        assert user.wizard.draft.hosts == {"node-one": {"address": "10.0.0.1", "roles": ["agent"]}}
        await user.sees("✗ server: 0, at least 1   ✓ agent: 1   ✗ datastore: 0, must be 1")

        await user.press("d")
        await user.on(ConfirmDialog)
        await user.press("escape")
        assert user.wizard.draft.hosts
        await user.on(HostsScreen)
        await user.press("d")
        await user.on(ConfirmDialog)
        await user.press("tab", "enter")
        await user.on(HostsScreen)
        assert user.wizard.draft.hosts == {}


async def test_a_new_host_is_a_server_until_one_says_otherwise(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("a")
        await user.on(HostDialog)
        await user.sees("[x] server")
        await user.press("escape")
        await user.on(HostsScreen)
        await user.press("down", "down", "enter")
        await user.on(HostDialog)
        await user.sees("[ ] server")
        await user.sees("[x] agent")


@pytest.mark.parametrize(
    ("typed", "key", "words"),
    [
        ({"name": "Node_1"}, "name", "lower-case"),
        ({"name": "k3s-agent"}, "name", "there is a host called k3s-agent already"),
        ({"name": ""}, "name", "a host needs a name"),
        ({"address": "10.161.129.54"}, "address", "also the address of"),
        ({"address": "10.0.0.300"}, "address", "not a valid address"),
        ({"address": ""}, "address", '"address" is missing'),
        ({"user": "a b"}, "user", "not a valid"),
        ({"port": "99999"}, "port", "65535"),
        ({"jump": "new"}, "jump", "itself"),
        ({"node-ip": "x y"}, "node-ip", "not a valid"),
        ({"taints": "nothing"}, "taints", "NoSchedule"),
        ({"labels": "a b/c/d=e"}, "labels", "label"),
    ],
)
@pytest.mark.parametrize("size", SIZES[:2])
async def test_what_is_wrong_is_told_below_its_field(
    folder: Path, typed: dict[str, str], key: str, words: str, size: tuple[int, int]
) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await user.at("hosts")
        before = dict(user.wizard.draft.hosts)
        await user.press("a")
        dialog = await user.on(HostDialog)
        for place, text in {"name": "new", "address": "10.0.0.9", **typed}.items():
            field(dialog, place).query_one(Input).value = text
        await user.press("ctrl+s")
        assert user.wizard.screen is dialog
        assert user.wizard.draft.hosts == before
        assert field(dialog, key).is_wrong
        assert words in problem(dialog, key)
        assert field(dialog, key).has_focus_within
        assert not [f for f in dialog.query(Field) if f.is_wrong and f.place != (key,)]
        # Seen, and the buttons with it.
        await user.until(lambda: problem(dialog, key)[:20] in user.text, "the problem")
        assert "Cancel" in user.text and "OK" in user.text


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_to_be_mended_is_seen(folder: Path, size: tuple[int, int]) -> None:
    """However long the message below it is."""
    async with operator(folder, how_to(folder), size) as user:
        await user.at("hosts")
        await user.press("a")
        dialog = await user.on(HostDialog)
        for place, text in {"name": "new", "address": "10.0.0.9", "node-ip": "fd00::9"}.items():
            field(dialog, place).query_one(Input).value = text
        await user.press("ctrl+s")
        assert len(problem(dialog, "node-ip")) > 150
        assert field(dialog, "node-ip").has_focus_within
        await user.until(lambda: "fd00::9" in user.text, "the input")


async def test_a_host_without_a_role_is_refused(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("a")
        dialog = await user.on(HostDialog)
        await user.type("new")
        await user.press("tab")
        await user.type("10.0.0.9")
        await user.press("tab", "space", "ctrl+s")
        assert user.wizard.screen is dialog
        await user.sees("at least one role")
        await user.press("space")
        await user.until(lambda: "at least one role" not in user.text, "told as it is mended")
        await user.press("ctrl+s")
        await user.on(HostsScreen)
        assert user.wizard.draft.hosts["new"]["roles"] == ["server"]


async def test_a_field_is_judged_when_it_is_left_and_explained_while_it_is_not(
    folder: Path,
) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("a")
        dialog = await user.on(HostDialog)
        await user.sees("it becomes the node's name")
        await user.type("B@D")
        assert not field(dialog, "name").is_wrong
        await user.press("tab")
        await user.sees("Where SSH goes")
        await user.until(lambda: field(dialog, "name").is_wrong, "wrong")
        assert not field(dialog, "address").is_wrong
        for words in ("a server runs the control plane",) * 4 + (
            "somebody else than on the others",
            "another port",
            "[user@]host[:port]",
            "the other hosts reach it",
            "keeps work away",
            "choose the node by",
        ):
            await user.press("tab")
            await user.sees(words)


async def test_another_name_takes_along_those_who_come_by_this_host(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        user.wizard.draft.set(("hosts", "nginx", "jump"), "k3s-server-1")
        await user.press("enter")
        await user.on(HostDialog)
        await user.type("front")
        await user.press("enter")
        await user.on(HostsScreen)
        assert user.wizard.draft.hosts["nginx"]["jump"] == "front"
        assert next(iter(user.wizard.draft.hosts)) == "front"
        assert not [p for p in user.wizard.draft.problems() if p.severity == "error"]


@pytest.mark.parametrize("size", SIZES)
async def test_the_table_fits(folder: Path, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        screen = await user.at("hosts")
        assert isinstance(screen, HostsScreen)
        for _again in range(2):
            await user.until(lambda: screen.table.size.width > 20, "a table")
            table = screen.table
            assert table.virtual_size.width <= table.size.width
            if size[1] >= 24:
                assert table.size.height > 5  # all of the five, below their heads
            assert "· not probed" in user.text and "10.161.129.1" in user.text
            await screen.recompose()
            await user.pilot.pause()
        user.wizard.draft.put_host(None, "n" * 60 + ".example", {"address": "2001:db8::1" * 5})
        await user.until(lambda: screen.table.size.width > 20, "a table")
        screen.fill()
        screen.table.choose("n" * 60 + ".example")
        await user.sees("✗ to mend")
        assert screen.table.virtual_size.width <= screen.table.size.width


def cursor_is(user: Operator, at: Offset) -> bool:
    return user.wizard.cursor_position == at


async def test_the_terminals_cursor_follows_the_row(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        screen = await user.at("hosts")
        table = screen.query_one(HostTable)
        for row in (1, 2):
            await user.press("down")
            at = table.content_region.offset + Offset(0, 1 + row)
            await user.until(partial(cursor_is, user, at), f"the cursor in row {row}")


async def test_every_key_is_in_the_palette_or_the_footer(folder: Path) -> None:
    async with operator(folder, how_to(folder), size=(100, 60)) as user:
        screen = await user.at("hosts")
        assert isinstance(screen, HostsScreen)
        keys = {command.help for command in screen.commands()}
        assert keys >= {"a", "d", "p", "P", "v", "i"}
        await user.press("f1")
        for words in ("Paste lines", "Import from", "Probe all"):
            await user.sees(words)


async def test_another_language_loses_nothing(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.wizard.speak("zh_CN")
        await user.sees("10.161.129.196")
        await user.press("down", "enter")
        dialog = await user.on(HostDialog)
        assert dialog.query_one(Input).value == "k3s-server-2"


async def show_found(user: Operator, name: str, found: Found) -> HostsScreen:
    screen = await user.at("hosts")
    assert isinstance(screen, HostsScreen)
    user.wizard.found[name] = screen._way(name), found
    screen.fill()
    await user.pilot.pause()
    return screen


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("size", SIZES)
async def test_text_from_outside_is_text(folder: Path, text: str, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        draft = user.wizard.draft
        draft.put_host(
            "k3s-agent",
            text,
            {"address": text, "roles": [text], "user": text, "labels": {text: text}},
        )
        draft.put_host("nginx", "nginx", {"address": 5, "roles": 5, "user": [text], "jump": {}})
        user.wizard.go("hosts")
        screen = await user.at("hosts")
        told = (Told(text, text), Told(text, text, "note"))
        await show_found(user, text, Found(text, "ready", os=text, arch=text, problems=told))
        screen.query_one(HostTable).move_cursor(row=2)
        await user.pilot.pause()
        assert "\x1b" not in user.text and "\u202e" not in user.text
        await user.press("enter")
        await user.on(HostDialog)
        await user.press("ctrl+s")
        await user.pilot.pause()
        assert "\x1b" not in user.text and "\u202e" not in user.text
        await user.press("escape")
        await user.on(HostsScreen)
        await user.press("d")
        await user.on(ConfirmDialog)
        assert "\x1b" not in user.text and "\u202e" not in user.text
        await user.press("escape")
        assert user.wizard.is_running


async def test_all_that_is_wrong_can_be_read(folder: Path) -> None:
    async with operator(folder, how_to(folder), (60, 15)) as user:
        told = tuple(Told(f"trouble {n}", f"remedy {n}") for n in range(9))
        screen = await show_found(
            user, "k3s-server-1", Found("k3s-server-1", "failed", problems=told)
        )
        await user.sees("✗ failed")
        await user.press("tab")
        assert isinstance(user.focused, Rows)
        await user.press("end")
        await user.sees("remedy 8")
        await user.press("home")
        await user.sees("trouble 0")
        screen.query_one(HostTable).focus()
        await user.press("down")
        await user.until(lambda: "trouble 0" not in user.text, "another host")
