"""What is typed or chosen, with its name at its left."""

from __future__ import annotations

from typing import ClassVar

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from k3s_tui.tui.language import _
from k3s_tui.tui.text import plain


class Labelled(Vertical):
    """Draws the name itself, in the margin of what it holds: a step has a dozen of them, and every
    widget that is spared brings the step up sooner (docs/reference/figures.md).

    `label` is marked English.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"labelled--label"}
    DEFAULT_CSS = """
    Labelled { height: auto; }
    """

    def __init__(self, label: str, *children: Widget, id: str | None = None) -> None:
        super().__init__(*children, id=id, classes="field")
        self.label = label

    def render(self) -> Content:
        return plain(_(self.label)).stylize(self.get_visual_style("labelled--label"))
