"""Themes: what is shipped can be read by everybody, and what is broken breaks nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import rich.color
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.console import Console
from textual.color import Color
from textual.theme import Theme

from k3s_tui.tui import themes

SHIPPED = {theme.name: theme for theme in themes.load(None).themes}
READABLE = 4.5
"""WCAG 2.1, level AA, for text."""

TEXTS = (
    "foreground",
    "text",
    "text-muted",
    "text-error",
    "text-warning",
    "text-success",
    "text-primary",
    "text-accent",
    "text-disabled",
)
GROUNDS = ("background", "surface", "panel")
PAIRS = [
    ("block-cursor-foreground", "block-cursor-background"),
    ("footer-key-foreground", "footer-background"),
    ("footer-description-foreground", "footer-background"),
    ("button-foreground", "surface"),
    *(("button-color-foreground", kind) for kind in ("primary", "success", "warning", "error")),
    ("block-cursor-blurred-foreground", "block-cursor-blurred-background"),
    ("input-cursor-foreground", "input-cursor-background"),
    ("input-selection-foreground", "input-selection-background"),
    *((title, "panel-lighten-1") for title in ("text-success", "text-warning", "text-error")),
]


def luminance(color: Color) -> float:
    def linear(value: int) -> float:
        part = value / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, color.rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: Color, other: Color) -> float:
    """As WCAG has it, for opaque colours."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def drawn(text: str, ground: Color) -> Color:
    """A resolved variable on this ground: a colour, or `auto 87%` of what contrasts best."""
    name, _, percent = text.partition(" ")
    color = ground.get_contrast_text(1.0) if name == "auto" else Color.parse(name)
    return ground + (color.multiply_alpha(float(percent.rstrip("%")) / 100) if percent else color)


def contrast(text: str, ground: Color) -> float:
    return ratio(drawn(text, ground), ground)


def in_256(color: Color) -> Color:
    """What a terminal shows that has no more colours, such as most tmux."""
    near = rich.color.Color.from_rgb(*color.rgb).downgrade(ColorSystem.EIGHT_BIT)
    return Color(*near.get_truecolor())


def test_three_are_shipped_and_right() -> None:
    assert themes.load(None).warnings == []
    assert set(SHIPPED) == {"k3s-dark", "k3s-light", "high-contrast"}


@pytest.mark.parametrize("theme", SHIPPED.values(), ids=list(SHIPPED))
def test_every_text_can_be_read(theme: Theme) -> None:
    variables = theme.to_color_system().generate()
    pairs = [(text, ground) for text in TEXTS for ground in GROUNDS]
    for text, ground in [*pairs, *PAIRS]:
        behind = Color.parse(variables["background"]) + Color.parse(variables["surface"])
        behind = drawn(variables[ground], behind)
        shown = drawn(variables[text], behind)
        found = min(ratio(shown, behind), ratio(in_256(shown), in_256(behind)))
        assert found >= READABLE, f"{text} on {ground}: {found:.2f}"


def test_contrast_is_measured_as_wcag_does() -> None:
    assert round(contrast("#000000", Color.parse("#ffffff")), 1) == 21.0
    assert round(contrast("#777777", Color.parse("#ffffff")), 2) == 4.48


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "not valid TOML"),
        ('name = "mine"', "'primary' is missing"),
        ('primary = "#fff"', "'name' is missing"),
        ('name = "mine"\nprimary = "no-such-colour"', "no colour"),
        ('name = "mine"\nprimary = 3', "of the wrong kind"),
        ('name = "mine"\nprimary = "#fff"\ndark = "yes"', "of the wrong kind"),
        ('name = "mine"\nprimary = "#fff"\nshadow = "#000"', "unknown setting 'shadow'"),
        ('name = "mine"\nprimary = "#fff"\nvariables = 1', "must be a table"),
        ('name = "k3s-dark"\nprimary = "#fff"', "already"),
        ('name = "nord"\nprimary = "#fff"', "already"),
        ("\x00", "not valid TOML"),
    ],
)
def test_a_bad_file_is_told_and_left_out(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    found = themes.load(tmp_path)
    assert {theme.name for theme in found.themes} == set(SHIPPED)
    (warning,) = found.warnings
    assert warning.startswith("theme mine.toml: ") and words in warning


def test_an_own_theme_is_offered(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\nprimary = "#112233"\ndark = false\n')
    found = themes.load(tmp_path)
    assert found.warnings == []
    assert "mine" in {theme.name for theme in found.themes}


def test_no_folder_and_no_text_at_all(tmp_path: Path) -> None:
    assert themes.load(tmp_path / "nowhere").warnings == []
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    assert "not valid TOML" in themes.load(tmp_path).warnings[0]
    (tmp_path / "mine.toml").unlink()
    (tmp_path / "mine.toml").mkdir()
    assert "cannot be read" in themes.load(tmp_path).warnings[0]


@given(st.binary(max_size=200))
def test_no_bytes_stop_the_start(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("themes")
    (folder / "mine.toml").write_bytes(b'name = "mine"\nprimary = "' + junk)
    assert {theme.name for theme in themes.load(folder).themes} >= set(SHIPPED)


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"COLORTERM": "truecolor", "TERM": "xterm"}, "k3s-dark"),
        ({"TERM": "xterm-256color"}, "k3s-dark"),
        ({"TERM": "xterm-kitty"}, "k3s-dark"),
        ({"TERM": "screen", "TMUX": "/tmp/tmux-0/default,1,0"}, "ansi-dark"),
        ({"TERM": "xterm-direct"}, "ansi-dark"),
        ({"TERM": "xterm"}, "ansi-dark"),
        ({"TERM": "linux"}, "ansi-dark"),
    ],
)
def test_the_one_to_begin_with(environ: dict[str, str], name: str) -> None:
    assert themes.default_theme(environ) == name
    drawn = Console(force_terminal=True, _environ=environ).color_system
    assert (drawn == "standard") == (name == "ansi-dark")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text-muted", "red; } * { color: blue"),
        ("text-muted", "nonsense"),
        ("block-cursor-text-style", "#ffffff"),
        ("footer-background", ""),
        ("footer-background", "$primary"),
    ],
)
def test_a_variable_that_style_sheets_cannot_hold(tmp_path: Path, name: str, value: str) -> None:
    own = f"name = 'own'\nprimary = '#fff'\n[variables]\n{name} = '{value}'\n"
    (tmp_path / "own.toml").write_text(own)
    found = themes.load(tmp_path)
    assert "own" not in {theme.name for theme in found.themes}
    assert len(found.warnings) == 1 and name in found.warnings[0]
