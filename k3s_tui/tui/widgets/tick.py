"""Yes or no, told by a sign: Textual's own checkbox shows the same one for both."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox


class Tick(Checkbox):
    """`[x] label` or `[ ] label`."""

    BUTTON_LEFT = BUTTON_RIGHT = ""

    DEFAULT_CSS = """
    Tick, Tick.-textual-compact:focus { border: none; padding: 0; }
    Tick > .toggle--button, Tick.-on > .toggle--button { color: $foreground; background: $panel; }
    """

    def __init__(self, label: str | Content, value: bool = False, *, id: str | None = None) -> None:
        """A label that is text from outside comes as Content."""
        self.BUTTON_INNER = "[x]" if value else "[ ]"
        super().__init__(label, value, id=id, compact=True)

    def watch_value(self) -> None:
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"
        super().watch_value()
