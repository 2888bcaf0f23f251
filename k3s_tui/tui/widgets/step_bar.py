"""The two lines on top: what this is, and which step of how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Click, Resize
from textual.widgets import Static

from k3s_tui.tui.language import _
from k3s_tui.tui.steps import STEPS, WizardStep
from k3s_tui.tui.text import plain

if TYPE_CHECKING:
    from k3s_tui.tui.app import Wizard


NARROWEST = 80
"""Columns in which all titles have a place."""


class TitleBar(Static):
    """The program, and the profile that is worked on."""

    def on_mount(self) -> None:
        wizard = cast("Wizard", self.app)
        parts = ["k3s-tui"]
        if wizard.has_draft:
            parts += [wizard.draft.path.name, wizard.backend.note]
        self.update(plain("  ".join(part for part in parts if part)))


class StepBar(Horizontal):
    """Steps that were visited can be clicked; F2 to F8 do the same."""

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current

    def compose(self) -> ComposeResult:
        for number, step in enumerate(STEPS, 1):
            yield _Tab(number, step, current=step.id == self._current)

    def on_resize(self, event: Resize) -> None:
        for tab in self.query(_Tab):
            tab.show(event.size.width)


class _Tab(Static):
    def __init__(self, number: int, step: WizardStep, *, current: bool) -> None:
        super().__init__()
        self._number = number
        self._step = step
        self._is_current = current

    def on_mount(self) -> None:
        self.show(NARROWEST)

    def show(self, width: int) -> None:
        """On a narrow terminal only the current step has its title."""
        wizard = cast("Wizard", self.app)
        mark = wizard.mark(self._step)
        label = str(self._number)
        if self._is_current or width >= NARROWEST:
            label += f" {_(self._step.tab or self._step.title)}"
        self.update(plain(f"[{label}]" if self._is_current else f"{mark}{label}"))
        self.set_class(self._is_current, "-current")
        self.set_class(self._step.id in wizard.visited, "-visited")

    def on_click(self, event: Click) -> None:
        event.stop()
        cast("Wizard", self.app).action_step(self._step.id)
