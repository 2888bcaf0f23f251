"""Which language, and which signs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from k3s_tui.tui import glyphs, language
from k3s_tui.tui.ascii import ascii_only
from k3s_tui.tui.language import _, choose, ngettext


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    language.use("en")
    glyphs.use_ascii(False)


@pytest.mark.parametrize(
    ("flag", "environ", "code", "note"),
    [
        (None, {}, "en", ""),
        (None, {"LANG": "en_US.UTF-8"}, "en", ""),
        (None, {"LANG": "de_DE.UTF-8"}, "en", ""),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh_CN", ""),
        (None, {"LANG": "zh_TW.UTF-8"}, "zh_CN", ""),
        (None, {"LANG": "zh_Hans"}, "zh_CN", ""),
        (None, {"LANG": "zhx"}, "en", ""),
        (None, {"K3S_TUI_LANG": "zh"}, "zh_CN", ""),
        (None, {"K3S_TUI_LANG": "fr", "LANG": "zh_CN.UTF-8"}, "en", "only: en, zh_CN"),
        ("fr", {}, "en", "no 'fr' here, only: en, zh_CN"),
        ("EN", {}, "en", ""),
        (None, {"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en", ""),
        (None, {"LANG": "C.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh_CN", ""),
        (None, {"LANG": "C.UTF-8", "K3S_TUI_LANG": "zh_CN"}, "zh_CN", ""),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en", ""),
        ("zh_CN", {"LANG": "C.UTF-8"}, "zh_CN", ""),
        (None, {"LANG": "zh_CN.UTF-8", "TERM": "linux"}, "en", "Linux console"),
        (None, {"LANG": "zh_CN.GB18030"}, "en", "not UTF-8"),
        ("zh_CN", {"LANG": "en_US.ISO-8859-1"}, "en", "not UTF-8"),
    ],
)
def test_the_choice(flag: str | None, environ: dict[str, str], code: str, note: str) -> None:
    found = choose(flag, environ)
    assert found.code == code
    assert note in found.note and bool(note) == bool(found.note)


def test_ascii_is_no_chinese() -> None:
    found = choose("zh_CN", {"LANG": "zh_CN.UTF-8"}, ascii=True)
    assert (found.code, found.note) == ("en", "English, because ASCII has no Chinese characters")


def test_it_can_change_meanwhile() -> None:
    assert _("Next") == "Next"
    language.use("zh_CN")
    assert language.current() == "zh_CN"
    assert _("Next") == "下一步"
    assert _("no such text") == "no such text"
    assert ngettext("{n} entry to mend", "{n} entries to mend", 2) != "{n} entries to mend"
    language.use("en")
    assert _("Next") == "Next"


def test_without_a_catalogue_it_is_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_FOLDER", tmp_path)
    language.use("zh_CN")
    assert _("Next") == "Next"
    assert ngettext("{n} host", "{n} hosts", 2) == "{n} hosts"


def test_nothing_stays_nothing() -> None:
    """gettext answers an empty text with the catalogue's header."""
    language.use("zh_CN")
    assert _("") == ""


@pytest.mark.parametrize("state", glyphs.STATES)
def test_every_sign_is_one_cell_wide(state: str) -> None:
    assert cell_len(glyphs.glyph(state)) == 1
    glyphs.use_ascii(True)
    assert glyphs.glyph(state).isascii() and len(glyphs.glyph(state)) == 1
    assert glyphs.word(state) in glyphs.labelled(state)


def test_in_ascii_nothing_else_is_drawn() -> None:
    glyphs.use_ascii(True)
    assert glyphs.separator().isascii()
    assert glyphs.border() == "ascii"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ok", "ok"),
        ("├─ ✓ a…", "+- v a~"),
        ("▇▇░", "###"),
        ("é", "e"),
        ("主机 a", "???? a"),
        ("\u200b", ""),
        ("½", "?"),
    ],
)
def test_ascii_of_the_same_width(text: str, plain: str) -> None:
    assert ascii_only(text) == plain
    assert cell_len(plain) == cell_len(text)
