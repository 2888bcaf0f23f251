"""Stopping a run, in three ways."""

from __future__ import annotations

from typing import Literal, TypeAlias

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog

How: TypeAlias = Literal["go-on", "gently", "now"]


class CancelDialog(Dialog[How]):
    BINDINGS = [Binding("escape", "go_on", N_("Go on"), key_display="Esc")]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(
                _(
                    "Stop the run? Whatever you choose, the next run looks at the hosts and goes "
                    "on from what it finds."
                )
            )
            yield OptionList(
                Option(_("Go on"), id="go-on"),
                Option(_("Stop gently: steps under way end, no new ones begin"), id="gently"),
                Option(_("Stop now: end what is under way, too"), id="now"),
            )

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        chosen: How = "go-on"
        if event.option_id == "gently":
            chosen = "gently"
        elif event.option_id == "now":
            chosen = "now"
        self.dismiss(chosen)

    def action_go_on(self) -> None:
        self.dismiss("go-on")
