"""What is wrong with a document, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from k3s_tui.core.errors import Exit, OperatorError
from k3s_tui.core.secret import MASK
from k3s_tui.profile.locate import Path


@dataclass(frozen=True, slots=True)
class ProfileProblem:
    """One problem.  `code` is stable; no text of it ever holds the value of a secret.

    `line` and `column` count from 1, `column` and `length` in characters; all are 0 while the
    problem has not been located, or when there is no text to point at.
    """

    code: str
    message: str
    path: Path = ()
    expected: str = ""
    help: str = ""
    severity: Literal["error", "warning"] = "error"
    at: Literal["value", "key"] = "value"
    line: int = 0
    column: int = 0
    length: int = 0

    @property
    def where(self) -> str:
        """The path as one would write it: `hosts.postgres.roles[0]`."""
        text = ""
        for part in self.path:
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                text += f".{part}" if text else part
        return text


class ProfileInvalid(OperatorError):
    """Everything that is wrong with a file, at once.  `render` makes the text to show."""

    exit = Exit.PROFILE

    def __init__(self, problems: Sequence[ProfileProblem], source: str, filename: str) -> None:
        count = f"{len(problems)} problems" if len(problems) > 1 else problems[0].message
        super().__init__(f"{filename}: {count}", hint=problems[0].help)
        self.problems = list(problems)
        self.source = source
        self.filename = filename

    def render(self) -> str:
        from k3s_tui.profile.render import render

        return render(self.problems, self.source, self.filename)


def shown(value: object) -> str:
    """A value of the document for a message: quoted, printable, and not too long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**20):
        return str(value)
    if not isinstance(value, str):
        return kind(value)
    if "PRIVATE KEY" in value:
        return MASK
    text = value if len(value) <= 60 else value[:59] + "…"
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text) + '"'


def kind(value: object) -> str:
    """A value's type in TOML's words."""
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word that was probably meant, or ''."""
    from difflib import get_close_matches

    close = get_close_matches(word.lower().replace("_", "-"), known, n=1, cutoff=0.6)
    return close[0] if close else ""


def did_you_mean(word: str) -> str:
    return f'did you mean "{word}"?' if word else ""
