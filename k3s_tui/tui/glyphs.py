"""A sign and a word for each state: colour alone tells nothing."""

from __future__ import annotations

from k3s_tui.tui.language import N_, _

_SIGNS = {
    "pending": ("·", ".", N_("pending")),
    "running": ("▸", ">", N_("running")),
    "waiting": ("…", "~", N_("waiting")),
    "ok": ("✓", "v", N_("as wanted")),
    "changed": ("✓", "*", N_("changed")),
    "change": ("+", "+", N_("change")),
    "later": ("»", ")", N_("later")),
    "warning": ("!", "!", N_("warning")),
    "problem": ("✗", "x", N_("STOP")),
    "failed": ("✗", "x", N_("failed")),
    "skipped": ("-", "-", N_("skipped")),
    "cancelled": ("○", "o", N_("cancelled")),
    "follow": ("↓", "v", N_("following")),
}

STATES = tuple(_SIGNS)

_ascii = False


def use_ascii(yes: bool) -> None:
    """Whether to draw with ASCII characters alone."""
    global _ascii
    _ascii = yes


def is_ascii() -> bool:
    return _ascii


def glyph(state: str) -> str:
    """One cell wide.  Raises KeyError for what is no state."""
    fancy, plain, _word = _SIGNS[state]
    return plain if _ascii else fancy


def word(state: str) -> str:
    return _(_SIGNS[state][2])


def labelled(state: str) -> str:
    """Sign and word."""
    return f"{glyph(state)} {word(state)}"


def separator() -> str:
    """Between a host's name and what it said."""
    return "|" if _ascii else "│"


def border() -> str:
    """The name of Textual's border to draw boxes with."""
    return "ascii" if _ascii else "round"
