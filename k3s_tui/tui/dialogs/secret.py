"""A value that is not shown: the store's passphrase, a key's, a password for sudo."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Static

from k3s_tui.core.secret import Secret
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.secret_input import SecretInput


class SecretDialog(Dialog[Secret | None]):
    """Answers None when it was given up."""

    HELP = N_(
        "What is typed is not shown, not copied and not written down; it is asked for once while "
        "k3s-tui runs."
    )
    BINDINGS = [Binding("escape", "give_up", N_("Cancel"), key_display="Esc")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(plain(self._question))
            yield SecretInput()
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True)
            yield KeyBar(palette=False)

    def on_mount(self) -> None:
        self.query_one(SecretInput).focus()

    @on(Input.Submitted)
    @on(Button.Pressed, "#ok")
    def _give(self) -> None:
        self.dismiss(self.query_one(SecretInput).take())

    @on(Button.Pressed, "#cancel")
    def action_give_up(self) -> None:
        self.dismiss(None)
