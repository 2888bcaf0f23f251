"""A new value for a secret, typed twice, never shown."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Static

from k3s_tui.core.secret import Secret
from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.labelled import Labelled
from k3s_tui.tui.widgets.secret_input import SecretInput

SHORT = 16
"""Characters below which a typed secret is called short; one that is made has 32."""


class SecretValueDialog(Dialog[Secret | None]):
    """Answers None when it was given up.  `objection` says why a value cannot be taken, or ''."""

    DEFAULT_CSS = """
    SecretValueDialog .title { text-style: bold; }
    """
    HELP = N_(
        "The value goes into the encrypted store beside the profile once that is saved; the "
        "profile itself only refers to it."
    )
    BINDINGS = [Binding("escape", "give_up", N_("Cancel"), key_display="Esc")]

    def __init__(
        self, title: str, objection: Callable[[Secret], str], *, warning: str = ""
    ) -> None:
        """`title` and `warning` are translated."""
        super().__init__()
        self._title = title
        self._objection = objection
        self._warning = warning

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(plain(self._title), classes="title")
            if self._warning:
                yield Static(plain(self._warning))
            yield Labelled(N_("Value"), SecretInput(id="first"))
            yield Labelled(N_("The same again"), SecretInput(id="second"))
            yield Static(id="strength")
            yield Static(id="wrong")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True)
            yield KeyBar(palette=False)

    def on_mount(self) -> None:
        self.query_one("#first").focus()

    @on(Input.Changed)
    def _judge(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one("#wrong", Static).update("")
        n = len(self.query_one("#first", SecretInput).value)
        told = ""
        if n:
            state = "warning" if n < SHORT else "ok"
            told = ngettext("{n} character", "{n} characters", n).format(n=n)
            if n < SHORT:
                told += "; " + _("{least} or more are better").format(least=SHORT)
            told = f"{glyphs.glyph(state)} {told}"
        self.query_one("#strength", Static).update(plain(told))

    @on(Input.Submitted, "#first")
    def _on_to_second(self) -> None:
        self.query_one("#second").focus()

    @on(Input.Submitted, "#second")
    @on(Button.Pressed, "#ok")
    def _give(self) -> None:
        first = self.query_one("#first", SecretInput)
        second = self.query_one("#second", SecretInput)
        value = Secret(first.value)
        if not value:
            self._complain(_("nothing was typed"))
        elif value != Secret(second.value):
            self._complain(_("the two differ"))
        elif objection := self._objection(value):
            self._complain(objection)
        else:
            first.value = second.value = ""
            self.dismiss(value)

    def _complain(self, text: str) -> None:
        self.query_one("#strength", Static).update("")
        self.query_one("#wrong", Static).update(plain(text))
        self.query_one("#first").focus()

    @on(Button.Pressed, "#cancel")
    def action_give_up(self) -> None:
        self.dismiss(None)
