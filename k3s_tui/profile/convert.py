"""From a parsed document to typed values, with every problem and not only the first.

msgspec stops at the first error, so each value is converted on its own.  What cannot be converted
is replaced by a stand-in, so that the rules still see the rest; a problem that a rule finds at a
replaced value is dropped by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from k3s_tui.profile.locate import Path
from k3s_tui.profile.problem import ProfileProblem, did_you_mean, kind, nearest, shown
from k3s_tui.profile.reference import FORMS, NotAReference, SecretRef

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Converted:
    """`value` is whole only without `problems`; `replaced` are the places of stand-ins."""

    value: Any
    problems: list[ProfileProblem] = field(default_factory=list)
    replaced: list[Path] = field(default_factory=list)


def convert(document: Mapping[str, Any], type_: type[msgspec.Struct]) -> Converted:
    """`document` as a `type_`, as far as it goes."""
    work = _Work([], [])
    value = work.convert(document, type_, ())
    return Converted(value, work.problems, work.replaced)


@dataclass(frozen=True, slots=True)
class _Work:
    problems: list[ProfileProblem]
    replaced: list[Path]

    def convert(self, value: Any, annotation: Any, path: Path) -> Any:
        plain, words = _plain(annotation)
        origin = get_origin(plain) or plain
        if plain is SecretRef:
            return self.reference(value, path)
        if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            if isinstance(value, dict):
                return self.struct(value, plain, path)
        elif origin is dict and isinstance(value, dict):
            return self.table(value, get_args(plain), path)
        elif origin is list and isinstance(value, list):
            if not value and words.get("code"):
                return self.fail(value, annotation, path)
            return self.elements(value, get_args(plain)[0], path)
        elif origin not in (dict, list):
            return self.leaf(value, annotation, path)
        return self.fail(value, annotation, path)

    def struct(self, value: dict[str, Any], type_: type[msgspec.Struct], path: Path) -> Any:
        known = {f.encode_name: f for f in _fields(type_)}
        meant = {self.unknown_key(key, list(known), path) for key in value if key not in known}
        made: dict[str, Any] = {}
        for key, spec in known.items():
            here = (*path, key)
            if key in value:
                converted = self.convert(value[key], spec.type, here)
                if spec.required or here not in self.replaced:
                    made[spec.name] = converted
            elif spec.required:
                if key not in meant:
                    self.missing_key(key, spec.type, path)
                made[spec.name] = _stand_in(spec.type)
                self.replaced.append(here)
        return type_(**made)

    def table(self, value: dict[str, Any], types: tuple[Any, Any], path: Path) -> dict[str, Any]:
        key_type, item_type = types
        if item_type is Any:
            return dict(value)
        for key in value:
            problem = _check(key, key_type, (*path, key))
            if problem is not None:
                self.problems.append(replace(problem, at="key"))
        return {key: self.convert(item, item_type, (*path, key)) for key, item in value.items()}

    def elements(self, value: list[Any], element: Any, path: Path) -> list[Any]:
        made = []
        for index, item in enumerate(value):
            before = len(self.replaced)
            converted = self.convert(item, element, (*path, index))
            if len(self.replaced) == before:
                made.append(converted)
        return made

    def leaf(self, value: Any, annotation: Any, path: Path) -> Any:
        problem = _check(value, annotation, path)
        return value if problem is None else self.stand_in(problem, annotation)

    def reference(self, value: Any, path: Path) -> SecretRef:
        name = path[-1]
        code, message = "wrong-type", f"{shown(name)} is {kind(value)}"
        if isinstance(value, str):
            try:
                return SecretRef.parse(value)
            except NotAReference as error:
                code = "literal-secret" if error.literal else "bad-reference"
                message = f"{shown(name)} is {error}"
        problem = ProfileProblem(code, message, path, FORMS, _use_the_store(path))
        self.stand_in(problem, SecretRef)
        return SecretRef("prompt", "")

    def fail(self, value: Any, annotation: Any, path: Path) -> Any:
        return self.stand_in(_wrong_type(value, annotation, path), annotation)

    def stand_in(self, problem: ProfileProblem, annotation: Any) -> Any:
        self.problems.append(problem)
        self.replaced.append(problem.path)
        return _stand_in(annotation)

    def unknown_key(self, key: str, known: Sequence[str], path: Path) -> str:
        """Report it, and return the known key that was probably meant."""
        meant = nearest(key, known)
        inside = f" in [{_dotted(path)}]" if path else ""
        problem = ProfileProblem(
            "unknown-key",
            f"unknown key {shown(key)}{inside}",
            (*path, key),
            expected="one of: " + ", ".join(known),
            help=did_you_mean(meant),
            at="key",
        )
        self.problems.append(problem)
        return meant

    def missing_key(self, key: str, annotation: Any, path: Path) -> None:
        plain, words = _plain(annotation)
        if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            message = f"the section [{_dotted((*path, key))}] is missing"
        elif get_origin(plain) is dict:
            message = f"the sections [{_dotted((*path, key))}.NAME] are missing"
        else:
            message = f"{shown(key)} is missing" + (f" in [{_dotted(path)}]" if path else "")
        expected, advice = words.get("expected", ""), ""
        if plain is SecretRef:
            expected, advice = FORMS, _use_the_store((*path, key))
        self.problems.append(ProfileProblem("missing-key", message, (*path, key), expected, advice))


def _use_the_store(path: Path) -> str:
    place = _dotted(path)
    return (
        f'write {path[-1]} = "store:{place}" and put the value into the store: '
        f"k3s-tui secret set PROFILE {place}"
    )


def _check(value: Any, annotation: Any, path: Path) -> ProfileProblem | None:
    """Whether a single value is of its type and shape."""
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return _bad_value(value, annotation, path)
    if isinstance(value, str) and not _whole_match(value, annotation):
        return _bad_value(value, annotation, path)
    return None


def _whole_match(value: str, annotation: Any) -> bool:
    """msgspec searches, and `$` also matches before a line end: look at the whole value again."""
    if _CONTROL.search(value):
        return False
    pattern = _plain(annotation)[1].get("pattern")
    return pattern is None or re.fullmatch(pattern, value) is not None


def _bad_value(value: Any, annotation: Any, path: Path) -> ProfileProblem:
    plain, words = _plain(annotation)
    if get_origin(plain) is Literal and type(value) is type(get_args(plain)[0]):
        choices = [str(choice) for choice in get_args(plain)]
        what = words.get("what") or _named(path)
        code = words.get("code", "unknown-value")
        message, advice = (
            f"unknown {what} {shown(value)}",
            did_you_mean(nearest(str(value), choices)),
        )
    elif type(value) is plain:
        what = words.get("what") or _named(path)
        code = words.get("code", "bad-value")
        message, advice = f"{shown(value)} is not a valid {what}", words.get("help", "")
    else:
        return _wrong_type(value, annotation, path)
    return ProfileProblem(code, message, path, _expected(annotation), advice)


def _wrong_type(value: Any, annotation: Any, path: Path) -> ProfileProblem:
    if isinstance(value, list) and not value:
        message, code = f"{_named(path)} is empty", _plain(annotation)[1].get("code", "bad-value")
    else:
        message, code = f"{_named(path)} is {kind(value)}", "wrong-type"
    return ProfileProblem(code, message, path, _expected(annotation))


def _expected(annotation: Any) -> str:
    plain, words = _plain(annotation)
    if "expected" in words:
        return str(words["expected"])
    origin = get_origin(plain) or plain
    if origin is Literal:
        choices = get_args(plain)
        listed = ", ".join(str(choice) for choice in choices)
        return f"one of: {listed}" if len(choices) > 1 else listed
    names: dict[Any, str] = {str: "text in quotes", int: "a whole number", list: "a list"}
    return names.get(origin, "a table")


def _named(path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    element = "an element of " if path and isinstance(path[-1], int) else ""
    return element + (shown(names[-1]) if names else "the document")


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)


@cache
def _fields(type_: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(type_)


def _plain(annotation: Any) -> tuple[Any, dict[str, Any]]:
    """A type without `Annotated` and `| None`, and what its annotation says."""
    words: dict[str, Any] = {}
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            for meta in annotation.__metadata__:
                words.update(meta.extra or {}, pattern=meta.pattern)
            annotation = annotation.__origin__
        elif origin in (Union, UnionType):
            (annotation,) = (arg for arg in get_args(annotation) if arg is not type(None))
        else:
            return annotation, words


def _stand_in(annotation: Any) -> Any:
    """Some value of the type, for what is missing or wrong."""
    plain, _ = _plain(annotation)
    origin = get_origin(plain) or plain
    if origin is Literal:
        return get_args(plain)[0]
    if plain is SecretRef:
        return SecretRef("prompt", "")
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        required = {f.name: _stand_in(f.type) for f in _fields(plain) if f.required}
        return plain(**required)
    empty: Callable[[], Any] = origin
    return empty()
