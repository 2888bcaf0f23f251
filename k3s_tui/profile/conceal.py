"""What of a profile's text must not be shown, because it is or may be a secret out of place.

Messages quote the line that they are about, and that line may hold a password which somebody
wrote where a reference belongs, or beside it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_origin

import msgspec

from k3s_tui.profile.k3s_options import holds_secret, option, owned
from k3s_tui.profile.locate import Path, Span, locate
from k3s_tui.profile.model import Profile
from k3s_tui.profile.reference import NotAReference, SecretRef

_FREE_TABLES = (("k3s", "server-config"), ("k3s", "agent-config"))
_SECRET_WORD = re.compile(r"pass|pwd|secret|token|cred|key|://[^/\s]*@", re.IGNORECASE)


def concealed(source: str) -> list[Span]:
    """Spans that are not to be shown, in order.  `source` has `\\n` line ends."""
    try:
        document = tomllib.loads(source)
        places = locate(source)
    except (ValueError, RecursionError):
        return _in_broken_text(source)
    hidden = list(places.comments)
    for path, span in places.values.items():
        value = _at(document, path)
        # A table is hidden value by value; its header is no secret.
        if not isinstance(value, dict) and _may_be_secret(path, value):
            hidden.append(span)
    return _outermost(sorted(hidden))


def without_secrets(document: Mapping[str, Any], at: Path = ()) -> dict[str, Any]:
    """The document without the values that may be a secret, in place of a reference to one."""
    kept: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            kept[key] = without_secrets(value, (*at, key))
        elif not _may_be_secret((*at, key), value):
            kept[key] = value
    return kept


def _outermost(spans: list[Span]) -> list[Span]:
    """Without those that lie in another one: an element in its hidden list."""
    kept: list[Span] = []
    for span in spans:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _at(document: Any, path: Path) -> Any:
    for part in path:
        document = document[part]
    return document


def _may_be_secret(path: Path, value: object) -> bool:
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return False
    names = tuple(part for part in path if isinstance(part, str))
    if names[:2] in _FREE_TABLES and len(names) > 2:
        name = option(names[2])
        return len(names) > 3 or bool(owned(name)) or holds_secret(name, value)
    annotation = _annotation(names)
    if annotation is None:
        return True
    if "SecretRef" in annotation:
        try:
            SecretRef.parse(value if isinstance(value, str) else "")
        except NotAReference:
            return True
    return isinstance(value, str) and "PRIVATE KEY" in value


@cache
def _annotation(names: tuple[str, ...]) -> str | None:
    """The type of a field of the profile as text; None when there is no such field."""
    at: Any = Profile
    for name in names:
        if isinstance(at, type) and issubclass(at, msgspec.Struct):
            known = {f.encode_name: f.type for f in msgspec.structs.fields(at)}
            if name not in known:
                return None
            at = known[name]
        elif get_origin(at) is dict:
            at = get_args(at)[1]
        else:
            return None
    return str(at)


@cache
def _public_names() -> frozenset[str]:
    """Every field of the profile that holds no secret."""
    names: set[str] = set()
    todo: list[Any] = [Profile]
    while todo:
        at = todo.pop()
        if isinstance(at, type) and issubclass(at, msgspec.Struct):
            for spec in msgspec.structs.fields(at):
                if "SecretRef" not in str(spec.type):
                    names.add(spec.encode_name)
                todo.append(spec.type)
        else:
            todo += [arg for arg in get_args(at) if arg is not type(None)]
    return frozenset(names)


def _in_broken_text(source: str) -> list[Span]:
    """Line by line, as nothing else is known: show a line only if it is certainly harmless."""
    hidden = []
    start = 0
    for line in source.split("\n"):
        shown = _harmless(line)
        if shown < len(line):
            hidden.append(Span(start + shown, start + len(line)))
        start += len(line) + 1
    return hidden


def _harmless(line: str) -> int:
    """How many characters of a line may be shown."""
    if re.fullmatch(r"\s*(\[{1,2}[\w.\- ]*\]{0,2}\s*)?(#.*)?", line):
        comment = line.find("#")
        return len(line) if comment < 0 else comment
    word = re.match(r"\s*([A-Za-z0-9_-]+)", line)
    if word and word[1] in _public_names() and not _SECRET_WORD.search(line):
        return len(line)
    key = re.match(r"\s*[A-Za-z0-9_.-]+\s*=(?!=)\s*(?=\S)", line)
    if key:
        return key.end()
    if word and word[1] in _profile_words():
        return word.end()
    return len(line) - len(line.lstrip())


@cache
def _profile_words() -> frozenset[str]:
    return _public_names() | {"password", "sudo-password", "token", "agent-token"}
