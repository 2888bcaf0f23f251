"""`NAME.toml` to a `Profile`, or to everything that is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from k3s_tui.profile import modes, rules
from k3s_tui.profile.convert import convert
from k3s_tui.profile.locate import Path as Place
from k3s_tui.profile.locate import Places, Span, locate
from k3s_tui.profile.model import SCHEMA, Profile
from k3s_tui.profile.problem import ProfileInvalid, ProfileProblem

_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid profile, its text, and what is allowed but worth telling."""

    profile: Profile
    source: str
    warnings: list[ProfileProblem] = field(default_factory=list)


def load(path: Path) -> Profile:
    """Raises ProfileInvalid with all problems."""
    return read(path).profile


def read(path: Path) -> Loaded:
    """Like `load`, with the warnings."""
    return parse(read_text(path), str(path))


def read_text(path: Path) -> str:
    """A TOML file's text with `\\n` line ends.  Raises ProfileInvalid."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem = ProfileProblem("unreadable", f"cannot read the file: {reason}")
        raise ProfileInvalid([problem], "", str(path)) from None
    if len(raw) > _LARGEST:
        problem = ProfileProblem("too-large", "the file is larger than 1 MiB: not a profile")
        raise ProfileInvalid([problem], "", str(path))
    try:
        return raw.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        problem = ProfileProblem(
            "not-utf8",
            f"byte 0x{raw[error.start]:02x} is not UTF-8 text",
            help="save the file as UTF-8",
            line=line,
            column=column,
            length=1,
        )
        source = raw.decode(errors="replace").replace("\r\n", "\n")
        raise ProfileInvalid([problem], source, str(path)) from None


def parse(source: str, filename: str) -> Loaded:
    """A profile from its text.  `filename` is for messages.  Raises ProfileInvalid."""
    source = source.replace("\r\n", "\n")
    document = read_document(source, filename)
    checked = check(document)
    if not checked.valid:
        fail(checked.problems, source, filename)
    warnings = located(checked.problems, source) if checked.problems else []
    return Loaded(checked.profile, source, warnings)


@dataclass(frozen=True, slots=True)
class Checked:
    """A document and everything that is wrong with it, not located.

    `profile` has stand-ins where the document is wrong.
    """

    profile: Profile
    problems: list[ProfileProblem]

    @property
    def valid(self) -> bool:
        """Whether there is nothing but warnings."""
        return all(problem.severity != "error" for problem in self.problems)


def check(document: Mapping[str, Any]) -> Checked:
    """Judge a document that need not have been written yet."""
    converted = convert(document, Profile)
    profile: Profile = converted.value
    told = (*rules.check(profile), *modes.check(profile, document))
    found = [p for p in told if not _spoiled(p, converted.replaced)]
    problems = [p for p in converted.problems if not _needless(p, found)] + found
    return Checked(profile, problems)


def read_document(source: str, filename: str) -> dict[str, Any]:
    """What the text says, right or wrong.

    Raises ProfileInvalid when it is no TOML, or may mean something that is not known here yet.
    """
    document = parse_toml(source, filename)
    schema = document.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        newer = ProfileProblem(
            "newer-schema",
            "this profile was made by a newer k3s-tui",
            ("schema",),
            expected=str(SCHEMA),
            help="update k3s-tui",
        )
        fail([newer], source, filename)
    return document


def parse_toml(source: str, filename: str) -> dict[str, Any]:
    """Raises ProfileInvalid at the place where the text is not TOML."""
    try:
        return tomllib.loads(source)
    except ValueError as error:
        problem = _syntax_problem(str(error), source)
    except RecursionError:
        problem = ProfileProblem("syntax", "the document is nested too deeply")
    raise ProfileInvalid([problem], source, filename)


def fail(problems: Iterable[ProfileProblem], source: str, filename: str) -> NoReturn:
    """Raise ProfileInvalid with the problems located in the text, in its order."""
    placed = sorted(located(problems, source), key=lambda p: (p.line, p.column))
    raise ProfileInvalid(placed, source, filename)


def located(problems: Iterable[ProfileProblem], source: str) -> list[ProfileProblem]:
    """Problems of a valid TOML document with line, column and length."""
    places = locate(source)
    return [_located(problem, places, source) for problem in problems]


def _located(problem: ProfileProblem, places: Places, source: str) -> ProfileProblem:
    path = problem.path
    first = places.keys if problem.at == "key" else places.values
    span = first.get(path)
    while span is None and path:
        # What is missing is told where its table begins.
        path = path[:-1]
        span = places.values.get(path)
    span = span or _first_line(source)
    line_start = source.rfind("\n", 0, span.start) + 1
    line_end = source.find("\n", span.start)
    end = min(span.end, line_end if line_end >= 0 else len(source))
    return replace(
        problem,
        line=source.count("\n", 0, span.start) + 1,
        column=span.start - line_start + 1,
        length=max(1, end - span.start),
    )


def _first_line(source: str) -> Span:
    """The first line that says something, for problems of the whole document."""
    text = re.search(r"^[^\s#].*", source, re.MULTILINE)
    return Span(text.start(), text.start() + 1) if text else Span(0, 0)


def _syntax_problem(message: str, source: str) -> ProfileProblem:
    """tomllib says `… (at line 3, column 5)` or `… (at end of document)`."""
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    text = message[: place.start()] if place else message
    if place and place[1]:
        line, column = int(place[1]), int(place[2])
    else:
        end = source.rstrip()
        line, column = end.count("\n") + 1, len(end) - end.rfind("\n")
    # tomllib quotes what it stumbled over, and it may have stumbled over a secret.
    text = re.sub(r": .*$", "", text, flags=re.DOTALL)
    lines = source.split("\n")
    unquoted = text == "Invalid value" and re.match(r"[A-Za-z~/.]", lines[line - 1][column - 1 :])
    advice = 'text needs quotes: key = "value"' if unquoted else ""
    return ProfileProblem(
        "syntax", f"not valid TOML: {text}", help=advice, line=line, column=column, length=1
    )


def _spoiled(problem: ProfileProblem, replaced: Iterable[Place]) -> bool:
    """Whether a rule may have seen a stand-in rather than what the operator wrote."""
    return any(
        problem.path[: len(place)] == place
        or (problem.code in rules.COUNTING and _hides_role(place))
        for place in replaced
    )


def _hides_role(place: Place) -> bool:
    return place[0] == "hosts" and (len(place) < 3 or place[2] == "roles")


def _needless(problem: ProfileProblem, found: Iterable[ProfileProblem]) -> bool:
    """Whether a key is missing that another, not yet supported, mode may not need."""
    return problem.code == "missing-key" and any(
        other.code == "not-supported-yet" and other.path[0] == problem.path[0] for other in found
    )
