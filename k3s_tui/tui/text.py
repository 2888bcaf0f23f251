"""Text from outside, for widgets that would read markup in it."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual.content import Content

from k3s_tui.hosts.sanitize import sanitize_block


def plain(text: str) -> Content:
    """The text as it is, with control characters made visible; never markup."""
    return Content(sanitize_block(text))


def cell(text: str) -> Text:
    """The same for a table or a tree, which measure only this kind."""
    return Text(sanitize_block(text), no_wrap=True)


def short(path: Path) -> str:
    """A path as people write it."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
