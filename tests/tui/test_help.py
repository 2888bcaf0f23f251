"""F1 tells of what is focused, on screens and in dialogs; the last line tells the keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.widgets import Static

from k3s_tui.tui import language
from k3s_tui.tui.dialogs.cancel import CancelDialog
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.export import ExportDialog
from k3s_tui.tui.dialogs.help import HelpDialog
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.dialogs.host_key import HostKeyDialog
from k3s_tui.tui.dialogs.import_hosts import ImportDialog
from k3s_tui.tui.dialogs.new_passphrase import NewPassphraseDialog
from k3s_tui.tui.dialogs.paste import PasteDialog
from k3s_tui.tui.dialogs.secret import SecretDialog
from k3s_tui.tui.dialogs.secret_value import SecretValueDialog
from k3s_tui.tui.dialogs.step import StepDialog
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import _
from k3s_tui.tui.progress import StepView
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.steps import STEPS
from k3s_tui.tui.widgets.key_bar import Key, KeyBar, fitting
from tests.tui.operator import how_to, operator

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0TJ5Z6yqLp0h0PHkzv5YcUVbIu1y0L0nGdGDCfb0qS"

DIALOGS: dict[type[Dialog[Any]], tuple[Callable[[Draft], Dialog[Any]], str]] = {
    CancelDialog: (lambda draft: CancelDialog(), "Esc Go on"),
    ConfirmDialog: (lambda draft: ConfirmDialog("Really?"), "Esc No"),
    ExportDialog: (lambda draft: ExportDialog("CA", "PEM", draft.path), "Esc Cancel"),
    HostDialog: (lambda draft: HostDialog(draft, "k3s-agent"), "^s OK"),
    HostKeyDialog: (lambda draft: HostKeyDialog("h", KEY), "y Copy fingerprint"),
    ImportDialog: (ImportDialog, "^s OK"),
    NewPassphraseDialog: (lambda draft: NewPassphraseDialog("x.secrets"), "Esc Cancel"),
    PasteDialog: (PasteDialog, "^s OK"),
    SecretDialog: (lambda draft: SecretDialog("Passphrase"), "Esc Cancel"),
    SecretValueDialog: (lambda draft: SecretValueDialog("Token", lambda v: ""), "Esc Cancel"),
    StepDialog: (lambda draft: StepDialog(StepView("h/agents/join", "h")), "Esc Close"),
}
"""Each dialog, and a key that its last line tells."""


def squeezed(text: str) -> str:
    """Words of a box, wherever its lines are broken."""
    return "".join(text.replace("│", "").split())


@pytest.mark.parametrize("code", list(language.LANGUAGES))
@pytest.mark.parametrize("size", [(80, 24), (60, 15)])
@pytest.mark.parametrize("kind", list(DIALOGS), ids=lambda kind: kind.__name__)
async def test_each_dialog_tells_its_keys_and_what_it_is_about(
    folder: Path, kind: type[Dialog[Any]], size: tuple[int, int], code: str
) -> None:
    make, key = DIALOGS[kind]
    assert kind.HELP
    language.use(code)
    async with operator(folder, how_to(folder), size=size) as user:
        await user.at("hosts")
        user.wizard.push_screen(make(user.wizard.draft))
        dialog = await user.on(kind)
        shown, _blank, does = key.partition(" ")
        await user.sees(f"{shown} {_(does)}")
        await user.sees(f"F1 {_('Help')}")
        bar = dialog.query_one(KeyBar)
        assert dialog.query_one(".dialog").region.contains_region(bar.region)
        assert "^p" not in user.text  # first the question is answered

        await user.press("f1")
        help = await user.on(HelpDialog)
        about = _(kind.HELP)
        await user.until(lambda: help.query(".heading"), "what it is about")
        assert about in [str(part.content) for part in help.query("Static").results(Static)]
        await user.press("f1")
        assert await user.on(kind) is dialog
        for button in dialog.query("Button"):
            button.scroll_visible(animate=False)
            await user.pilot.pause()
            assert button.region.bottom <= bar.region.y, (button, user.text)


async def test_help_explains_the_focused_field_of_a_dialog(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("a")
        await user.on(HostDialog)
        await user.press("f1")
        await user.on(HelpDialog)
        assert "itbecomesthenode'snameinKubernetes" in squeezed(user.text)
        await user.press("escape", "tab", "tab", "f1")
        await user.on(HelpDialog)
        assert "aserverrunsthecontrolplane" in squeezed(user.text)
        await user.press("escape")
        await user.on(HostDialog)


def test_where_there_is_little_room_whole_keys_are_left_out() -> None:
    keys = [
        Key("a", "a", "Add", "add"),
        Key("b", "b", "Bring", "bring"),
        Key("f1", "F1", "Help", "help"),
        Key("ctrl+p", "^p", "More", "command_palette"),
    ]
    assert fitting(keys, 29) == keys  # "a Add b Bring F1 Help ^p More"
    assert fitting(keys, 28) == [keys[0], *keys[2:]]
    assert fitting(keys, 15) == keys[2:]
    assert keys[2] in fitting(keys, 14)
    assert fitting(keys, 3) == []


def _is_english(active: ActiveBinding) -> bool:
    text = active.binding.description
    return bool(text) and text.isascii()


async def test_every_key_is_told_in_chinese(folder: Path) -> None:
    """Those of Textual's widgets, too, whatever has the focus."""
    language.use("zh_CN")
    english = set()
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        user.wizard.push_screen(PasteDialog(user.wizard.draft))
        screens: list[Screen[Any]] = [await user.on(PasteDialog)]
        for step in STEPS:
            for screen in screens:
                for widget in screen.focus_chain:
                    screen.set_focus(widget)
                    bindings = screen.active_bindings.values()
                    english |= {b.binding.description for b in bindings if _is_english(b)}
            user.wizard.go(step.id)
            screens = [await user.at(step.id)]
    assert english == {_("Servers"), _("Agents")}  # terms that stay as they are


async def test_what_can_be_done_here_is_told_before_how_one_moves(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("f1")
        help = await user.on(HelpDialog)
        told = "\n".join(str(part.content) for part in help.query("Static").results(Static))
        assert 0 < told.index(" Probe") < told.index(" Cursor up")
