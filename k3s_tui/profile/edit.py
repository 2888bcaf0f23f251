"""Changes to a TOML text that leave everything else in it as it is: comments, order, layout.

Works on the places of keys and values, by cutting and pasting text.  (tomlkit takes the comment
above a section for the end of the section before, and puts new keys behind it.)
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli_w

from k3s_tui.profile.locate import Path, Places, locate


def edit(source: str, full: Mapping[str, Any], explicit: Mapping[str, Any]) -> str:
    """`source`, a valid TOML text with `\\n` line ends, changed to say what `full` says.

    What `full` has and `source` has not is added if it is in `explicit`.
    """
    if source and not source.endswith("\n"):
        source += "\n"
    edits = _Edits(source, locate(source))
    edits.merge((), tomllib.loads(source), full, explicit)
    return edits.apply()


def write(tables: Mapping[str, Any]) -> str:
    """A new document: what is no table first, then a section for each table."""
    lines = [_pair(key, value) for key, value in tables.items() if not isinstance(value, dict)]
    sections = [_section((key,), value) for key, value in tables.items() if isinstance(value, dict)]
    return "".join(lines) + "".join(sections)


_LINE, _CUT, _TABLE = range(3)


@dataclass(frozen=True, slots=True)
class _Edits:
    source: str
    places: Places
    splices: list[tuple[int, int, int, str]] = field(default_factory=list)
    """Start, rank, end, replacement.  At one place lines come first: they belong to the table
    above; then what is cut out; then new tables.
    """
    opened: dict[Path, int] = field(default_factory=dict)
    """Where tables that only had sub-tables got a header."""

    def merge(
        self, path: Path, now: Mapping[str, Any], full: Mapping[str, Any], explicit: Any
    ) -> None:
        for key in now:
            if key not in full:
                self.remove((*path, key))
        for key, value in full.items():
            here = (*path, key)
            if key not in now:
                if key in explicit:
                    self.add(here, explicit[key])
            elif isinstance(value, dict) and isinstance(now[key], dict) and not self.inline(here):
                self.merge(here, now[key], value, explicit.get(key, {}))
            else:
                self.replace(here, now[key], _settled(now[key], value, explicit.get(key)))

    def inline(self, path: Path) -> bool:
        return self.source[self.places.values[path].start] == "{"

    def replace(self, path: Path, now: object, value: object) -> None:
        # By `repr`, as 1, 1.0 and true are equal in Python and not in TOML.
        if repr(now) != repr(value):
            span = self.places.values[path]
            self.cut(span.start, span.end, _literal(value))

    def remove(self, path: Path) -> None:
        """Whole lines: those of the key, or of the table with its sub-tables."""
        for header, span in self.places.headers:
            if header[: len(path)] == path:
                end = self.end_of_table(span.start)
                while self.source.startswith("\n", end):
                    end += 1
                self.cut(self.line_start(span.start), end)
        for pair, span in self.places.pairs:
            if pair[: len(path)] == path:
                self.cut(self.line_start(span.start), self.line_end(span.end))

    def add(self, path: Path, value: Any) -> None:
        if isinstance(value, dict) and len(path) <= 2:
            at = self.end_of_section(path[0])
            self.splices.append((at, _TABLE, at, _section(path, value)))
            return
        parent = path[:-1]
        line = _pair(str(path[-1]), value)
        for header, span in self.places.headers:
            if header == parent:
                self.insert(self.end_of_table(span.start), line)
                return
        siblings = [(p, s) for p, s in self.places.pairs if p[:-1] == parent]
        if siblings:
            # The table is written in dotted keys (or is the document): do as they do.
            last, span = siblings[-1]
            dotted = self.source[span.start : self.places.keys[last].start]
            self.insert(self.line_end(span.end), dotted + line)
        elif parent:
            at = self.open_table(parent)
            self.splices.append((at, _TABLE, at, line))
        else:
            self.insert(0, line)

    def open_table(self, path: Path) -> int:
        """Give a table that only had sub-tables a header, above the first of them."""
        if path not in self.opened:
            below = (s.start for header, s in self.places.headers if header[: len(path)] == path)
            at = self.line_start(min(below, default=len(self.source)))
            self.splices.append((at, _TABLE, at, _header(path)))
            self.opened[path] = at
        return self.opened[path]

    def insert(self, at: int, text: str) -> None:
        self.splices.append((at, _LINE, at, text))

    def cut(self, start: int, end: int, text: str = "") -> None:
        self.splices.append((start, _CUT, end, text))

    def end_of_section(self, name: str | int) -> int:
        """Behind the last table of a section; at the end of the document for a new one."""
        starts = [span.start for header, span in self.places.headers if header[0] == name]
        return self.end_of_table(starts[-1]) if starts else len(self.source)

    def end_of_table(self, header: int) -> int:
        """Behind the last line of a table; comments further on belong to what follows."""
        end = self.line_end(header)
        following = [span.start for _, span in self.places.headers if span.start > header]
        limit = min(following, default=len(self.source))
        for _, span in self.places.pairs:
            if header < span.start < limit:
                end = self.line_end(span.end)
        return end

    def line_start(self, at: int) -> int:
        return self.source.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        return self.source.index("\n", at) + 1

    def apply(self) -> str:
        out = []
        at = 0
        for start, _, end, text in sorted(self.splices, key=lambda splice: splice[:2]):
            if start >= at:
                out.append(self.source[at:start])
            out.append(text)
            at = max(at, end)
        return "".join(out) + self.source[at:]


def _settled(now: object, full: Any, explicit: Any) -> Any:
    """What an inline table is to hold: what it says now, and what must be said."""
    if not isinstance(full, dict) or not isinstance(now, dict):
        return full if explicit is None or not isinstance(full, dict) else explicit
    explicit = explicit or {}
    return {
        key: _settled(now[key], value, explicit.get(key)) if key in now else explicit[key]
        for key, value in full.items()
        if key in now or key in explicit
    }


def _section(path: Path, table: Mapping[str, Any]) -> str:
    """A table with its header; tables right below the first level get sections of their own."""
    deeper = {k: v for k, v in table.items() if isinstance(v, dict) and len(path) == 1}
    lines = [_pair(key, value) for key, value in table.items() if key not in deeper]
    text = "\n" + _header(path) + "".join(lines) if lines or not deeper else ""
    return text + "".join(_section((*path, key), value) for key, value in deeper.items())


def _header(path: Path) -> str:
    return "[" + ".".join(_key(str(part)) for part in path) + "]\n"


def _pair(key: str, value: object) -> str:
    return f"{_key(key)} = {_literal(value)}\n"


def _key(key: str) -> str:
    return tomli_w.dumps({key: 1}).removesuffix(" = 1\n")


def _literal(value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)} = {_literal(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")
