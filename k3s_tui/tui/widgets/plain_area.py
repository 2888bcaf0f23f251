"""Several lines to type or paste into, drawn as text whatever they are."""

from __future__ import annotations

from textual.document._document import EditResult
from textual.document._edit import Edit
from textual.widgets import TextArea

from k3s_tui.hosts.sanitize import sanitize_block


class PlainArea(TextArea):
    """Control characters, which would be drawn as they are, never get in.  Tab goes on to the next
    widget.
    """

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, compact=True, tab_behavior="focus", id=id)

    def edit(self, edit: Edit) -> EditResult:
        # Terminals send what is pasted with carriage returns between the lines.
        lines = edit.text.replace("\r\n", "\n").replace("\r", "\n")
        edit.text = sanitize_block(lines)
        return super().edit(edit)

    def load_text(self, text: str) -> None:
        super().load_text(sanitize_block(text))
