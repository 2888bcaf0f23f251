"""Help: what the screen is for, what the focused field means, and every key that works here."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from k3s_tui.tui import textuals
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog, Page, Spoken
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar


class HelpDialog(Dialog[None]):
    """`of` is the screen below, as it was when help was asked for."""

    BINDINGS = [
        Binding("escape,f1,question_mark,q", "close", N_("Close"), key_display="Esc"),
    ]

    def __init__(self, of: Spoken[Any]) -> None:
        super().__init__()
        self._is_page = isinstance(of, Page)
        self._screen_help = of.HELP
        self._field_label, self._field_help = of.explained(of.focused) if of.focused else ("", "")
        keys = [
            (key_name(active.binding), active.binding.description)
            for active in of.active_bindings.values()
            if active.enabled and active.binding.description
        ]
        # How one moves around in a list is asked for less than what can be done here.
        common = {_(word) for word in textuals.WORDS}
        self._keys = sorted(dict.fromkeys(keys), key=lambda key: key[1] in common)

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            if self._field_help:
                yield Static(plain(_(self._field_label)), classes="heading")
                yield Static(plain(_(self._field_help)))
            if self._screen_help:
                about = _("This screen") if self._is_page else _("This dialog")
                yield Static(plain(about), classes="heading")
                yield Static(plain(_(self._screen_help)))
            yield Static(plain(_("Keys")), classes="heading")
            for key, description in self._keys:
                yield Static(plain(f"{key:<12} {description}"))
            yield KeyBar(palette=False)

    def on_mount(self) -> None:
        self.query_one(".dialog").focus()

    def action_close(self) -> None:
        self.dismiss(None)


def key_name(binding: Binding) -> str:
    from textual.keys import format_key

    return binding.key_display or format_key(binding.key)
