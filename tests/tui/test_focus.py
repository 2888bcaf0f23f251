"""Where the focus is, is seen: as much changes there as WCAG 2.2 asks for (2.4.13)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from rich.style import Style
from textual.color import Color
from textual.widget import Widget

from k3s_tui.tui.steps import STEPS
from tests.tui.fields import go
from tests.tui.operator import Operator, how_to, operator
from tests.tui.test_contrast import THEMES
from tests.unit.tui.test_themes import ratio

SEEN = 3.0
"""Least contrast between a cell with the focus and without."""


Cell: TypeAlias = tuple[str, Style]


def drawn(user: Operator, widget: Widget) -> Iterator[Cell]:
    """Its cells."""
    region = widget.region
    strips = user.wizard.screen._compositor.render_strips()[region.y : region.bottom]
    for strip in strips:
        for text, style, _control in strip.crop(region.x, region.right):
            for letter in text:
                yield letter, style or Style()


def difference(before: Cell, after: Cell) -> float:
    """The contrast of one cell's ground with another's, or of their letters."""
    (was, old), (now, new) = before, after
    if was != now or bool(old.reverse) != bool(new.reverse):
        return 21.0
    return max(
        ratio(Color.from_rich_color(old.bgcolor), Color.from_rich_color(new.bgcolor)),
        ratio(Color.from_rich_color(old.color), Color.from_rich_color(new.color)),
    )


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("step", [step.id for step in STEPS])
async def test_it_is_seen_in_every_step(folder: Path, step: str, theme: str) -> None:
    async with operator(folder, how_to(folder), (120, 60)) as user:
        user.wizard.theme = theme
        await go(user, step)
        screen = user.wizard.screen
        chain = screen.focus_chain
        assert chain
        for widget, other in zip(chain, chain[1:] + chain[:1], strict=True):
            screen.set_focus(other)
            await user.pilot.pause()
            without = list(drawn(user, widget))
            screen.set_focus(widget)

            def is_seen(widget: Widget = widget, without: list[Cell] = without) -> bool:
                cells = zip(without, drawn(user, widget), strict=True)
                return any(difference(*cell) >= SEEN for cell in cells)

            await user.until(is_seen, f"the focus of {widget}")
