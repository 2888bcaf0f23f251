"""The two lines on top: what this is, and which step of how many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, cast

from textual.content import Content
from textual.events import Click
from textual.widget import Widget

from k3s_tui.tui.language import _
from k3s_tui.tui.steps import STEPS, WizardStep
from k3s_tui.tui.text import plain

if TYPE_CHECKING:
    from k3s_tui.tui.app import Wizard


NARROWEST = 80
"""Columns in which all titles have a place."""


class TitleBar(Widget):
    """The program, and the profile that is worked on."""

    def render(self) -> Content:
        wizard = cast("Wizard", self.app)
        parts = ["k3s-tui"]
        if wizard.has_draft:
            parts += [wizard.draft.path.name, wizard.backend.note]
        return plain("  ".join(part for part in parts if part))


class StepBar(Widget):
    """Steps that were visited can be clicked; F2 to F8 do the same.

    One widget that draws all seven: each step has this bar, and it is there before all else.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"step-bar--visited", "step-bar--current"}

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current

    def render(self) -> Content:
        parts = []
        for step, text in self._tabs():
            tab = plain(text)
            if step.id == self._current:
                tab = tab.stylize(self.get_visual_style("step-bar--current"))
            elif step.id in cast("Wizard", self.app).visited:
                tab = tab.stylize(self.get_visual_style("step-bar--visited"))
            parts += [tab, plain(" ")]
        return Content.assemble(*parts)

    def _tabs(self) -> Iterator[tuple[WizardStep, str]]:
        """On a narrow terminal only the current step has its title."""
        wizard = cast("Wizard", self.app)
        for number, step in enumerate(STEPS, 1):
            is_current = step.id == self._current
            label = str(number)
            if is_current or self.size.width >= NARROWEST:
                label += f" {_(step.tab or step.title)}"
            yield step, f"[{label}]" if is_current else f"{wizard.mark(step)}{label}"

    def on_click(self, event: Click) -> None:
        event.stop()
        end = 0
        for step, text in self._tabs():
            begin, end = end, end + plain(text).cell_length
            if begin <= event.x < end:
                cast("Wizard", self.app).action_step(step.id)
            end += 1
