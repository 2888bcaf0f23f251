"""`--ascii`: whatever is drawn leaves for the terminal as ASCII of the same width."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_DRAWN = {
    **dict.fromkeys("│┃║▏▎▍▌▋▊▉▐", "|"),
    **dict.fromkeys("─━═▁▂▃▔", "-"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝┏┓┗┛┣┫", "+"),
    **dict.fromkeys("█▇▆▅▄▀▓▒░■", "#"),
    **dict.fromkeys("▶▸»›", ">"),
    **dict.fromkeys("▼▾↓", "v"),
    **dict.fromkeys("▲↑", "^"),
    **dict.fromkeys("·•", "."),
    **dict.fromkeys("–—", "-"),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
    "…": "~",
    "⏎": "<",
    "✓": "v",
    "✗": "x",
    "○": "o",
}


class AsciiFilter(LineFilter):
    """What has no ASCII of its own becomes `?`, once for each cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else segment._replace(text=ascii_only(segment.text))
            for segment in segments
        ]


def ascii_only(text: str) -> str:
    """ASCII that takes as many cells as the text."""
    return "".join(map(_ascii, text))


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    width = cell_len(character)
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    found = _DRAWN.get(character) or bare
    return found if len(found) == width else "?" * width
