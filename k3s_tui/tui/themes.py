"""Colour themes: the program's, and the operator's own.  A bad file is told, and left out."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.css.errors import StylesheetError
from textual.css.stylesheet import Stylesheet
from textual.css.tokenizer import TokenError
from textual.theme import BUILTIN_THEMES, Theme

DEFAULT = "k3s-dark"
"""Used when nothing else was chosen."""

SHIPPED = Path(str(files("k3s_tui") / "themes"))

_VALUE = re.compile(r"[#%(),. \w-]*[#%\w)][#%(),. \w-]*", re.ASCII)
_TEXTS = {"name"}
_SWITCHES = {"dark"}
_NUMBERS = {"luminosity_spread", "text_alpha"}


class BadTheme(ValueError):
    """Says what is wrong with a theme's file."""


@dataclass
class Themes:
    """`warnings` are lines for the operator, one for each file that was left out."""

    themes: list[Theme] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def user_folder() -> Path:
    """Where an operator's own themes lie."""
    from platformdirs import user_config_path

    return user_config_path("k3s-tui") / "themes"


def load(folder: Path | None) -> Themes:
    """The program's themes and those of `folder`, which may not exist."""
    found = Themes()
    for path in [*_in(SHIPPED), *(_in(folder) if folder else ())]:
        try:
            theme = read(path)
            if theme.name in BUILTIN_THEMES or theme.name in {t.name for t in found.themes}:
                raise BadTheme(f"there is a theme called {theme.name!r} already")
            found.themes.append(theme)
        except BadTheme as error:
            found.warnings.append(f"theme {path.name}: {error}")
    return found


def read(path: Path) -> Theme:
    """One theme.  Its keys are those of Textual's Theme, with `-` for `_`.  Raises BadTheme."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadTheme(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BadTheme("not valid TOML") from None
    settings = {key.replace("-", "_"): value for key, value in document.items()}
    known = {each.name for each in dataclasses.fields(Theme)}
    for key, value in settings.items():
        if key not in known:
            raise BadTheme(f"unknown setting {key!r}")
        _check(key, value)
    for needed in ("name", "primary"):
        if needed not in settings:
            raise BadTheme(f"{needed!r} is missing")
    theme = Theme(**settings)
    try:
        theme.to_color_system().generate()
    except (ColorParseError, ValueError) as error:
        raise BadTheme(str(error)) from None
    return theme


def default_theme(environ: Mapping[str, str]) -> str:
    """The one to begin with: the terminal's own colours where only sixteen will be used.

    Squeezed into sixteen, the program's own themes lose their contrast, down to 2:1.  The rule is
    that of rich, which draws: a `TERM` such as `screen` or `xterm-direct` alone means sixteen.
    """
    many = environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit") or environ.get(
        "TERM", ""
    ).strip().lower().rpartition("-")[2] in ("256color", "kitty")
    return DEFAULT if many else "ansi-dark"


def _in(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob("*.toml"))
    except OSError:
        return


def _check(key: str, value: Any) -> None:
    if key == "variables":
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise BadTheme("'variables' must be a table of texts")
        for name, text in value.items():
            _check_variable(name, text)
        return
    if key in _SWITCHES:
        right = isinstance(value, bool)
    elif key in _NUMBERS:
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        right = isinstance(value, str)
    if not right:
        raise BadTheme(f"{key!r} is of the wrong kind")
    if key not in _TEXTS | _SWITCHES | _NUMBERS:
        try:
            Color.parse(value)
        except ColorParseError:
            raise BadTheme(f"{key!r} is no colour: {value!r}") from None


def _check_variable(name: str, value: str) -> None:
    """Textual puts it into its style sheets unseen, and ends when one makes no sense any more."""
    kind = "text-style" if "style" in name else "color"
    sheet = Stylesheet(variables={"value": value})
    sheet.add_source(f"* {{ {kind}: $value; }}")
    try:
        if not _VALUE.fullmatch(value):
            raise ValueError
        sheet.parse()
    except (StylesheetError, TokenError, ValueError):
        raise BadTheme(f"the variable {name!r} is no {kind}: {value!r}") from None
