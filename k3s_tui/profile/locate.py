"""Where in a TOML text each key and each value stands.

`tomllib` says what a document means but not where; `tomlkit` keeps the text but no positions.
This scanner is simple because it only ever reads documents that `tomllib` has accepted.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""A place in a document: keys, and indexes into arrays."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACES = re.compile(r"[ \t]*")
_BLANK = re.compile(r"[ \t\n]*")
_COMMENT = re.compile(r"#[^\n]*")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"""(?:"{0,2})'
    r"|'''(?:[^']|'{1,2}(?!'))*'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*|[^\s,\]}#]+")


class Span(NamedTuple):
    """Offsets in characters; `end` is the first one behind."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Places:
    """`values` holds a table's header, for a table that has one.

    `headers` and `pairs` are the lines of the document, in order; those inside of inline tables
    are no lines.
    """

    keys: dict[Path, Span] = field(default_factory=dict)
    values: dict[Path, Span] = field(default_factory=dict)
    comments: list[Span] = field(default_factory=list)
    headers: list[tuple[Path, Span]] = field(default_factory=list)
    pairs: list[tuple[Path, Span]] = field(default_factory=list)


def locate(source: str) -> Places:
    """Scan a valid TOML document with `\\n` line ends."""
    scanner = _Scanner(source)
    scanner.document()
    return scanner.places


class _Scanner:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.table: Path = ()
        self.last_index: dict[Path, int] = {}
        self.places = Places()

    def document(self) -> None:
        while True:
            self.blank()
            if self.at >= len(self.source):
                return
            if self.source[self.at] == "[":
                self.header(2 if self.source.startswith("[[", self.at) else 1)
            else:
                start = self.at
                path = self.pair(self.table)
                self.places.pairs.append((path, Span(start, self.at)))

    def header(self, brackets: int) -> None:
        """`[a.b]`, or `[[a.b]]`, which begins the next element of an array."""
        start = self.at
        self.at += brackets
        parts = self.key()
        self.at += brackets
        span = Span(start, self.at)
        path: Path = ()
        for name, where in parts[:-1]:
            path = (*path, name)
            self.places.keys.setdefault(path, where)
            self.places.values.setdefault(path, span)
            if path in self.last_index:
                path = (*path, self.last_index[path])
        name, where = parts[-1]
        path = (*path, name)
        if brackets == 2:
            self.places.keys.setdefault(path, where)
            self.places.values.setdefault(path, span)
            self.last_index[path] = self.last_index.get(path, -1) + 1
            path = (*path, self.last_index[path])
        self.places.keys[path] = where
        self.places.values[path] = span
        self.places.headers.append((path, span))
        self.table = path

    def pair(self, table: Path) -> Path:
        parts = self.key()
        self.at += len("=")
        self.spaces()
        path = table
        for name, where in parts:
            path = (*path, name)
            self.places.keys.setdefault(path, where)
            self.places.values.setdefault(path, where)
        self.value(path)
        return path

    def key(self) -> list[tuple[str, Span]]:
        """A dotted key, with the spaces around it."""
        parts: list[tuple[str, Span]] = []
        while True:
            self.spaces()
            start = self.at
            if self.source[start] in "\"'":
                self.match(_STRING)
                name = tomllib.loads("k = " + self.source[start : self.at])["k"]
            else:
                name = self.match(_BARE)
            parts.append((name, Span(start, self.at)))
            self.spaces()
            if self.source[self.at] != ".":
                return parts
            self.at += len(".")

    def value(self, path: Path) -> None:
        start = self.at
        first = self.source[start]
        if first in "\"'":
            self.match(_STRING)
        elif first == "[":
            self.array(path)
        elif first == "{":
            self.inline_table(path)
        else:
            self.match(_SCALAR)
        self.places.values[path] = Span(start, self.at)

    def array(self, path: Path) -> None:
        self.at += len("[")
        index = 0
        while True:
            self.separators()
            if self.source[self.at] == "]":
                break
            self.value((*path, index))
            index += 1
        self.at += len("]")

    def inline_table(self, path: Path) -> None:
        self.at += len("{")
        while True:
            self.separators()
            if self.source[self.at] == "}":
                break
            self.pair(path)
        self.at += len("}")

    def separators(self) -> None:
        self.blank()
        if self.source[self.at] == ",":
            self.at += len(",")
            self.blank()

    def spaces(self) -> None:
        self.match(_SPACES)

    def blank(self) -> None:
        """White space, line ends and comments."""
        while True:
            self.match(_BLANK)
            comment = _COMMENT.match(self.source, self.at)
            if comment is None:
                return
            self.places.comments.append(Span(*comment.span()))
            self.at = comment.end()

    def match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.source, self.at)
        if found is None:
            raise ValueError(f"not valid TOML at offset {self.at}")
        self.at = found.end()
        return found.group()
