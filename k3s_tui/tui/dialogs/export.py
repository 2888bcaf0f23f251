"""A certificate's public part into a file on this machine."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Label, Static

from k3s_tui.core.files import at_home, write_atomically
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar


class ExportDialog(Dialog[Path | None]):
    """Writes `pem`, and answers where; None when it was given up.  A file that is there is replaced
    only after a question.
    """

    HELP = N_(
        "The file holds what anybody may see: give it to programs that are to trust the cluster. "
        "A relative path is beside the profile."
    )
    BINDINGS = [Binding("escape", "cancel", N_("Cancel"), key_display="Esc")]

    def __init__(self, title: str, pem: str, path: Path) -> None:
        """`path` is what is proposed; a relative one that is typed is beside it."""
        super().__init__()
        self._title = title
        self._pem = pem
        self._path = path

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(plain(self._title), classes="heading")
            yield Static(_("The public certificate, as PEM. No key is in it."))
            yield Label(_("File"))
            yield Input(str(self._path), compact=True)
            yield Static(id="wrong")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("Save"), id="ok", variant="primary", compact=True)
            yield KeyBar(palette=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    @on(Button.Pressed, "#ok")
    def _save(self) -> None:
        typed = self.query_one(Input).value.strip()
        if not typed:
            self._complain(_("a file needs a name"))
            return
        try:
            path = self._path.parent / at_home(typed)
            there = path.exists()
        except (OSError, ValueError, RuntimeError) as error:
            self._complain(str(error))
            return
        if there:
            self._ask_before(path)
        else:
            self._write(path)

    def _ask_before(self, path: Path) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._write(path)

        question = _("{path} exists already. Replace it?").format(path=path)
        self.app.push_screen(ConfirmDialog(question, yes=N_("Replace")), answered)

    def _write(self, path: Path) -> None:
        try:
            write_atomically(path, self._pem.encode(), 0o644)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else ""
            self._complain(f"{path}: {reason or error}")
            return
        self.dismiss(path)

    def _complain(self, text: str) -> None:
        self.query_one("#wrong", Static).update(plain(text))
        self.query_one(Input).focus()

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        self.dismiss(None)
