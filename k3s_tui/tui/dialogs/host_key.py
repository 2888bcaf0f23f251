"""A host's key that nobody has confirmed yet."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Label, Static

from k3s_tui.procedure.probing import Found, matches
from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain


class HostKeyDialog(Dialog[bool]):
    """True when the key is trusted from now on.  The safe answer has the focus."""

    BINDINGS = [
        Binding("escape", "not_now", N_("Not now"), key_display="Esc"),
        Binding("y", "copy", N_("Copy fingerprint")),
    ]

    def __init__(self, found: Found) -> None:
        super().__init__()
        self._found = found

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(
                plain(
                    _("{host} shows a host key that is not known yet:").format(
                        host=self._found.key_of
                    )
                )
            )
            yield Static(plain(self._found.fingerprint), classes="heading")
            yield Static(
                _(
                    "Compare it with the host's own, on its console: "
                    "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
                )
            )
            yield Label(_("Or paste that fingerprint or public key here:"))
            yield Input(id="expected", compact=True)
            yield Static(id="compared")
            with Horizontal(classes="answers"):
                yield Button(_("Not now"), id="not-now", compact=True)
                yield Button(_("Trust this key"), id="trust", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one("#not-now").focus()

    @on(Input.Changed, "#expected")
    def _compare(self, event: Input.Changed) -> None:
        text, trust = "", self.query_one("#trust", Button)
        trust.disabled = False
        if event.value.strip():
            same = matches(event.value, self._found.key)
            trust.disabled = not same
            state = "ok" if same else "problem"
            said = _("they are the same") if same else _("they are NOT the same: do not trust it")
            text = f"{glyphs.glyph(state)} {said}"
        self.query_one("#compared", Static).update(plain(text))

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._found.fingerprint)
        self.notify(_("copied"), markup=False)

    @on(Button.Pressed, "#trust")
    def _trust(self) -> None:
        self.dismiss(True)

    @on(Button.Pressed, "#not-now")
    def action_not_now(self) -> None:
        self.dismiss(False)
