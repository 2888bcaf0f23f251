"""Yes or no."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static

from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar


class ConfirmDialog(Dialog[bool]):
    """`question` may hold text from outside.  The safe answer has the focus."""

    HELP = N_(
        "Only the button that does not have the focus at first does what is asked. Escape leaves "
        "all as it is."
    )
    BINDINGS = [Binding("escape", "no", N_("No"), key_display="Esc")]

    def __init__(self, question: str, *, yes: str = N_("Yes"), no: str = N_("No")) -> None:
        super().__init__()
        self._question = question
        self._yes, self._no = yes, no

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(plain(self._question))
            with Horizontal(classes="answers"):
                yield Button(_(self._no), id="no", compact=True)
                yield Button(_(self._yes), id="yes", variant="primary", compact=True)
            yield KeyBar(palette=False)

    def on_mount(self) -> None:
        self.query_one("#no").focus()

    @on(Button.Pressed, "#yes")
    def _accept(self) -> None:
        self.dismiss(True)

    @on(Button.Pressed, "#no")
    def action_no(self) -> None:
        self.dismiss(False)
