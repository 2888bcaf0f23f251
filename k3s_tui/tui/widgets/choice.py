"""One of a few values, chosen from a list."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Select
from textual.widgets._select import SelectCurrent, SelectOverlay

from k3s_tui.tui.text import plain

_ARROW = " ▼"


class Choice(Select[str]):
    """Textual's `Select`; what is seen of it while it is closed is one widget instead of four, for
    steps to come up sooner (docs/reference/figures.md).
    """

    DEFAULT_CSS = """
    Choice > _Closed { color: $foreground 50%; }
    Choice > _Closed.-has-value { color: $foreground; }
    Choice:focus > _Closed { text-style: reverse; }
    """

    def compose(self) -> ComposeResult:
        yield _Closed(self.prompt)
        yield SelectOverlay(type_to_search=self._type_to_search).data_bind(compact=Select.compact)


class _Closed(SelectCurrent):
    """The value, on as many lines as it takes, and an arrow."""

    def compose(self) -> ComposeResult:
        yield from ()

    def update(self, label: Any) -> None:
        self.label = label
        self.has_value = label is not Select.NULL
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        width = self.content_size.width
        first, *more = self._lines(width)
        first = first.pad_right(width - len(_ARROW) - first.cell_length)
        return Content("\n").join([first + plain(_ARROW).stylize("$foreground 50%"), *more])

    def _lines(self, width: int) -> list[Content]:
        label = self.label if self.has_value else self.placeholder
        content = label if isinstance(label, Content) else plain(str(label))
        return content.wrap(max(width - len(_ARROW), 1)) or [Content("")]
