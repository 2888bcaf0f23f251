"""Where the terminal's cursor belongs: a screen reader reads the line that it is in."""

from __future__ import annotations

from textual.geometry import Offset
from textual.widget import Widget
from textual.widgets import DataTable, Input, OptionList, TextArea, Tree

from k3s_tui.tui.widgets.log_view import LogView

_MOVED_BY: tuple[tuple[type[Widget], str], ...] = (
    (OptionList, "highlighted"),
    (Tree, "cursor_line"),
    (DataTable, "cursor_coordinate"),
)
"""By kind of list, the reactive attribute that moves its highlighted row."""


def moved_by(widget: Widget) -> tuple[str, ...]:
    """The reactive attributes of a widget that move its row on the screen."""
    return (*(name for kind, name in _MOVED_BY if isinstance(widget, kind)), "scroll_y")


def position(widget: Widget) -> Offset | None:
    """Where the cursor belongs while this widget has the focus, in cells of the screen.

    In a list that is its highlighted row; a row that is scrolled away counts as the nearest that
    is seen.  None for a log, which sees to it itself.
    """
    if isinstance(widget, LogView):
        return None
    if isinstance(widget, (Input, TextArea)):
        return widget.cursor_screen_offset
    inside = widget.content_region
    row = min(_row(widget), inside.height - 1)
    return inside.offset + Offset(0, max(0, row))


def _row(widget: Widget) -> int:
    """The highlighted row, counted from the first that is seen."""
    top = round(widget.scroll_offset.y)
    if isinstance(widget, OptionList) and widget.highlighted is not None:
        # Options may have several lines; nothing public tells which are whose.
        return widget._index_to_line.get(widget.highlighted, 0) - top
    if isinstance(widget, Tree):
        return widget.cursor_line - top
    if isinstance(widget, DataTable):
        header = widget.header_height if widget.show_header else 0
        return header + max(0, widget.cursor_row - top)
    return 0
