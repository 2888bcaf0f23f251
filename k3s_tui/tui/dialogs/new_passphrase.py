"""The passphrase of a new secret store, typed twice; its loss is explained first."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Label, Static

from k3s_tui.core.secret import Secret
from k3s_tui.profile.secrets import SHORTEST_PASSPHRASE
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.secret_input import SecretInput


class NewPassphraseDialog(Dialog[Secret | None]):
    """Answers None when it was given up."""

    HELP = N_("It encrypts the secrets that lie beside the profile, and is written down nowhere.")
    BINDINGS = [Binding("escape", "give_up", N_("Cancel"), key_display="Esc")]

    def __init__(self, store: str) -> None:
        super().__init__()
        self._store = store

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(
                plain(
                    _(
                        "The cluster's secrets go into {store}, encrypted by a passphrase. "
                        "Back up that file and remember the passphrase: without them the "
                        "cluster's database cannot be read again, and nobody can reset them."
                    ).format(store=self._store)
                )
            )
            yield Label(_("Passphrase"))
            yield SecretInput(id="first")
            yield Label(_("The same again"))
            yield SecretInput(id="second")
            yield Static(id="wrong")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True)
            yield KeyBar(palette=False)

    def on_mount(self) -> None:
        self.query_one("#first").focus()

    @on(Input.Submitted, "#first")
    def _go_on(self) -> None:
        self.query_one("#second").focus()

    @on(Input.Submitted, "#second")
    @on(Button.Pressed, "#ok")
    def _give(self) -> None:
        first, second = self.query_one("#first", Input), self.query_one("#second", Input)
        if len(first.value) < SHORTEST_PASSPHRASE:
            wrong = _("at least {n} characters: some random words will do").format(
                n=SHORTEST_PASSPHRASE
            )
        elif first.value != second.value:
            wrong = _("the two differ")
        else:
            chosen = self.query_one("#first", SecretInput).take()
            self.query_one("#second", SecretInput).take()
            self.dismiss(chosen)
            return
        self.query_one("#wrong", Static).update(plain(wrong))
        first.focus()

    @on(Button.Pressed, "#cancel")
    def action_give_up(self) -> None:
        self.dismiss(None)
