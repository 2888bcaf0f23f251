"""Profiles are written back as their operator would: comments, order and layout stay."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from k3s_tui.core.errors import OperatorError
from k3s_tui.core.files import write_atomically
from k3s_tui.profile.edit import edit, write
from k3s_tui.profile.load import parse, parse_toml, read_text
from k3s_tui.profile.locate import Path as Place
from k3s_tui.profile.model import Profile
from k3s_tui.profile.modes import inapplicable
from k3s_tui.profile.neighbours import exclusive

_HEADER = """\
# A k3s-tui profile: it holds references to secrets and no secret.
# Run it again with: k3s-tui apply {filename}

"""


def save(path: Path, profile: Profile) -> None:
    """Write `profile` to `path`; a file that is there is edited, not replaced.

    Raises ProfileInvalid, and writes nothing, when the profile breaks a rule or the file that is
    there is not TOML; OperatorError when the file cannot be written.
    """
    with exclusive(path):
        if path.exists():
            text = edited(read_text(path), profile, str(path))
            _insist_on_toml(text, path)
            mode = stat.S_IMODE(path.stat().st_mode)
        else:
            text = new(profile, path.name)
            mode = 0o644
        if parse(text, str(path)).profile != profile:
            raise _not_editable(path)
        try:
            write_atomically(path, text.encode(), mode)
        except OSError as error:
            raise OperatorError(f"cannot write {path}: {error.strerror}") from None


def new(profile: Profile, filename: str) -> str:
    """A profile as a new file's text."""
    tables = _readable(profile)
    for path, _, _ in inapplicable(profile):
        _without(tables, path)
    return _HEADER.format(filename=filename) + write(tables)


def _without(tables: dict[str, Any], path: Place) -> None:
    *above, last = path
    for key in above:
        tables = tables.get(str(key), {})
    tables.pop(str(last), None)


def edited(source: str, profile: Profile, filename: str) -> str:
    """`source` changed to say what `profile` says, and nothing else."""
    parse_toml(source, filename)
    return edit(source, _full(profile), _explicit(profile))


def _insist_on_toml(text: str, path: Path) -> None:
    """A table written in an unusual way may not take what was added to it."""
    try:
        tomllib.loads(text)
    except ValueError:
        raise _not_editable(path) from None


def _not_editable(path: Path) -> OperatorError:
    return OperatorError(
        f"{path} cannot be edited to say this while keeping its layout",
        hint="edit it by hand, or save under another name",
    )


def _full(value: Any) -> Any:
    """As tables, lists and scalars; TOML has no null."""
    return _tables(value, lambda spec, item: item is not None)


def _explicit(value: Any) -> Any:
    """Likewise, without the fields that are at their defaults."""
    return _tables(value, lambda spec, item: spec.required or item != _default(spec))


def _readable(value: Any) -> Any:
    """Likewise, with the defaults that say something."""
    return _tables(value, lambda spec, item: spec.required or item not in (None, {}, [], ""))


def _tables(value: Any, keep: Callable[[msgspec.structs.FieldInfo, Any], bool]) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = ((spec, getattr(value, spec.name)) for spec in msgspec.structs.fields(value))
        return {spec.encode_name: _tables(item, keep) for spec, item in fields if keep(spec, item)}
    if isinstance(value, Mapping):
        return {key: _tables(item, keep) for key, item in value.items()}
    return msgspec.to_builtins(value, enc_hook=str)


def _default(spec: msgspec.structs.FieldInfo) -> Any:
    if spec.default_factory is not msgspec.NODEFAULT:
        return spec.default_factory()
    return spec.default
