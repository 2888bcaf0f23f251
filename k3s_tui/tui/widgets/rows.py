"""Names and what they are, in two columns; what is long goes on below itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from k3s_tui.tui import glyphs
from k3s_tui.tui.text import plain

_WIDEST = 14
"""Columns of the names, at most."""

_STYLES = {"problem": "$text-error", "warning": "$text-warning", "ok": "$text-success"}


@dataclass(frozen=True)
class Row:
    """`state` is one of `glyphs`; its sign stands before the text.  Without a text it is a heading,
    without a label it goes on with the row above.
    """

    label: str = ""
    text: str = ""
    state: str = ""


class Rows(VerticalScroll):
    """Scrolls with the arrow keys when it has the focus.  All texts may be from outside."""

    DEFAULT_CSS = """
    Rows { height: auto; scrollbar-size-vertical: 1; border-left: blank; }
    Rows:focus { border-left: thick $primary; }
    Rows > _Lines { height: auto; width: 1fr; }
    """

    def __init__(
        self, rows: Sequence[Row] = (), *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._rows = rows

    def compose(self) -> ComposeResult:
        yield _Lines(self._rows)

    def update(self, rows: Sequence[Row]) -> None:
        """Show these."""
        self._rows = rows
        for lines in self.query(_Lines):
            lines.rows = tuple(rows)
            lines.refresh(layout=True)

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows


class _Lines(Widget):
    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self.rows = tuple(rows)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(list(_lines(self.rows, width)))

    def render(self) -> Content:
        return Content("\n").join(_lines(self.rows, self.content_size.width))


def _lines(rows: Sequence[Row], width: int) -> Iterator[Content]:
    if width <= 0:
        return
    labels = [plain(row.label).cell_length for row in rows if row.text]
    column = min(max(labels, default=0) + 1, _WIDEST, width // 2) if any(labels) else 0
    for row in rows:
        if not row.text:
            yield from _wrapped(plain(row.label).stylize("bold"), width)
            continue
        text = plain(row.text)
        if row.state:
            sign = Content(f"{glyphs.glyph(row.state)} ")
            text = (sign + text).stylize(_STYLES.get(row.state, ""))
        head = plain(row.label).truncate(max(column - 1, 0), ellipsis=True)
        for line in _wrapped(text, max(width - column, 1)):
            yield head.pad_right(column - head.cell_length) + line
            head = Content("")


def _wrapped(text: Content, width: int) -> list[Content]:
    return [line.rstrip() for line in text.wrap(width)] or [Content("")]
