"""Problems as compilers show them: place, line, caret, what was expected, what to try."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from k3s_tui.core.secret import MASK
from k3s_tui.profile.conceal import concealed
from k3s_tui.profile.locate import Span
from k3s_tui.profile.problem import ProfileProblem

_WIDEST = 120
"""Columns of a quoted line; a longer one is cut around its caret."""


def render(problems: Sequence[ProfileProblem], source: str, filename: str) -> str:
    """Every problem, in the order of the text.  `source` is the text of `filename`."""
    source = source.replace("\r\n", "\n")
    lines = source.split("\n")
    hidden = concealed(source)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    blocks = []
    for problem in sorted(problems, key=lambda p: (p.line, p.column)):
        quoted: tuple[str, int, int] | None = None
        if 0 < problem.line <= len(lines):
            start, end = starts[problem.line - 1], starts[problem.line] - 1
            inside = [
                Span(max(span.start, start) - start, min(span.end, end) - start)
                for span in hidden
                if span.start < end and span.end > start
            ]
            quoted = _quote(lines[problem.line - 1], inside, problem.column - 1, problem.length)
        blocks.append(_block(problem, quoted, filename))
    return "\n".join(blocks)


def _block(problem: ProfileProblem, quoted: tuple[str, int, int] | None, filename: str) -> str:
    out = [f"{problem.severity}[{problem.code}]: {problem.message}"]
    number = str(problem.line)
    margin = " " * len(number)
    if quoted is None:
        out.append(f" --> {filename}")
        if problem.expected:
            out.append(f"  = expected: {problem.expected}")
    else:
        text, column, length = quoted
        note = f" expected {problem.expected}" if problem.expected else ""
        out += [
            f"{margin}--> {filename}:{problem.line}:{problem.column}",
            f"{margin} |",
            f"{number} | {text}",
            f"{margin} | {' ' * column}{'^' * length}{note}",
        ]
    if problem.help:
        out.append(f"{margin} = help: {problem.help}")
    return "\n".join(out) + "\n"


def _quote(line: str, hidden: Sequence[Span], column: int, length: int) -> tuple[str, int, int]:
    """The line as it may be shown, and where under it the caret goes: all in columns.

    A hidden span becomes a mask of one length, so that it does not tell how long the secret is.
    A comment is hidden too, and at the end of a line there is nothing to mask.
    """
    cells = [_cell(character) for character in line]
    for span in hidden:
        comment = line[span.start] == "#"
        if span.start <= column < span.end:
            column, length = span.start, span.end - span.start
        for at in range(span.start, span.end):
            cells[at] = ""
        cells[span.start] = "" if comment else MASK
    text = "".join(cells).rstrip()
    left = _width("".join(cells[:column]))
    right = _width("".join(cells[: column + length]))
    total = _width(text)
    left = min(left, total)
    caret = max(1, min(right, total) - left)
    if total > _WIDEST:
        return _cut(text, left, caret)
    return text, left, caret


def _cut(text: str, left: int, caret: int) -> tuple[str, int, int]:
    first = max(0, left - _WIDEST // 2)
    kept = ""
    at = 0
    for character in text:
        if first <= at and at + _width(character) <= first + _WIDEST:
            kept += character
        at += _width(character)
    if not first:
        return kept + "…", left, min(caret, _WIDEST - left)
    skipped = left - first
    return f"…{kept}…", skipped + 1, max(1, min(caret, _WIDEST - skipped))


def _cell(character: str) -> str:
    """A character as a terminal may get it: no control, no reordering."""
    if character == "\t":
        return "    "
    if unicodedata.combining(character):
        return character
    return character if character.isprintable() else "\ufffd"


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(1 for c in text if unicodedata.combining(c))
