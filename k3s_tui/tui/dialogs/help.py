"""Help: what the screen is for, what the focused field means, and every key that works here."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain


class HelpDialog(Dialog[None]):
    """`of` is the screen below, as it was when help was asked for."""

    BINDINGS = [
        Binding("escape,f1,q", "close", N_("Close"), key_display="Esc"),
    ]

    def __init__(self, of: Screen[None]) -> None:
        super().__init__()
        self._screen_help = getattr(of, "HELP", "")
        self._field_label, self._field_help = _focused(of.focused)
        self._keys = [
            (key_name(active.binding), active.binding.description)
            for active in of.active_bindings.values()
            if active.enabled and active.binding.description
        ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            if self._field_help:
                yield Static(plain(_(self._field_label)), classes="heading")
                yield Static(plain(_(self._field_help)))
            if self._screen_help:
                yield Static(plain(_("This screen")), classes="heading")
                yield Static(plain(_(self._screen_help)))
            yield Static(plain(_("Keys")), classes="heading")
            for key, description in dict.fromkeys(self._keys):
                yield Static(plain(f"{key:<12} {description}"))

    def on_mount(self) -> None:
        self.query_one(".dialog").focus()

    def action_close(self) -> None:
        self.dismiss(None)


def key_name(binding: Binding) -> str:
    from textual.keys import format_key

    return binding.key_display or format_key(binding.key)


def _focused(widget: Widget | None) -> tuple[str, str]:
    from k3s_tui.tui.widgets.field import Field

    for node in widget.ancestors_with_self if widget else ():
        if isinstance(node, Field):
            return node.label, node.help
    return "", ""
