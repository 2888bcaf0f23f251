"""The how-to's profile, and changed versions of it."""

from __future__ import annotations

from pathlib import Path

HOW_TO = Path(__file__).parents[3] / "docs" / "examples" / "how-to.toml"
TEXT = HOW_TO.read_text()


def changed(*changes: tuple[str, str]) -> str:
    """The how-to's text with each first text replaced by the second; it must be there."""
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def position(text: str, part: str) -> tuple[int, int]:
    """Line and column, from 1, at which a part that occurs once stands."""
    assert text.count(part) == 1, part
    before = text[: text.index(part)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")
