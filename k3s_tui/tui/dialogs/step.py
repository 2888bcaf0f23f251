"""All that is known of one step of a run."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.progress import StepView
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar


class StepDialog(Dialog[None]):
    HELP = N_("What the step was to do, what came of it, and the last lines that its host said.")
    BINDINGS = [Binding("escape,enter", "close", N_("Close"), key_display="Esc")]

    def __init__(self, step: StepView) -> None:
        super().__init__()
        self._step = step

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            for text, kind in self._told():
                if text:
                    yield Static(plain(text), classes=kind)
            yield KeyBar(palette=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def _told(self) -> Iterator[tuple[str, str]]:
        step = self._step
        yield step.id, "heading"
        yield f"{glyphs.labelled(step.state)}  {step.summary}", ""
        yield step.waits and f"{_('It waits: {condition}').format(condition=step.waits)}", ""
        yield step.warning and f"{glyphs.labelled('warning')}: {step.warning}", ""
        yield step.error, "bad"
        yield step.hint and f"{_('Try')}: {step.hint}", ""
        yield step.tail, "tail"
        yield step.diff, "tail"

    def action_close(self) -> None:
        self.dismiss(None)
