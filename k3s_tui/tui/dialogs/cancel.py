"""Stopping a run, in three ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from k3s_tui.tui.controller import Stage, Watched
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from k3s_tui.tui.app import Wizard

How: TypeAlias = Literal["go-on", "gently", "now", "leave"]

TOLD: dict[Stage, str] = {
    "": N_(
        "Stop the run? Whatever you choose, the next run looks at the hosts and goes on from what "
        "it finds."
    ),
    "gently": N_("It is stopping: no new steps begin, and those under way come to their end."),
    "now": N_("It is stopping: what was under way is being ended."),
}
"""By how it was told to stop already, what there is to say."""


class CancelDialog(Dialog[How]):
    HELP = N_(
        "Whatever is chosen, nothing is lost: the next run looks at the hosts and goes on. Gently"
        " is the one that leaves no step half done."
    )
    BINDINGS = [Binding("escape", "go_on", N_("Go on"), key_display="Esc")]

    def __init__(self, stopping: Stage = "") -> None:
        super().__init__()
        self._stopping = stopping

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(plain(_(TOLD[self._stopping])))
            yield OptionList(*self._ways())
            yield KeyBar(palette=False)

    def _ways(self) -> Iterator[Option]:
        if not self._stopping:
            yield Option(_("Go on"), id="go-on")
            yield Option(_("Stop gently: steps under way end, no new ones begin"), id="gently")
        else:
            yield Option(_("Wait for it"), id="go-on")
        if self._stopping != "now":
            yield Option(_("Stop now: end what is under way, too"), id="now")
        else:
            yield Option(_("Leave at once: what is under way ends by itself, or not"), id="leave")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(cast(How, event.option_id))

    def action_go_on(self) -> None:
        self.dismiss("go-on")


def ask_to_stop(app: Wizard, run: Watched) -> None:
    """Ask how to stop a run, over whatever is shown, and do it.  Nothing happens without one."""
    if not run.running or isinstance(app.screen, CancelDialog):
        return

    def answered(how: How | None) -> None:
        if how == "gently" and not run.stopping:
            run.stop()
        while how == "now" and run.running and run.stopping != "now":
            run.stop()
        if how == "leave":
            app.leave()

    app.push_screen(CancelDialog(run.stopping), answered)
