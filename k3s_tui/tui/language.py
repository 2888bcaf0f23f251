"""The operator's language: gettext, with English as the message itself.

Translations are looked up when a text is shown, so that the language can change meanwhile.  Log
lines, events and what the plan says stay English: they are searched for, and quoted in reports.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
"""Codes, and what each is called in itself."""

_DOMAIN = "k3s_tui"
_FOLDER = Path(__file__).parents[1] / "locale"

_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_code = "en"


@dataclass(frozen=True)
class Choice:
    """`note` says why it is not the language that was asked for; '' when it is."""

    code: str
    note: str = ""


def _(text: str) -> str:
    """The text in the operator's language."""
    return _catalogue.gettext(text) if text else text


def ngettext(one: str, many: str, n: int) -> str:
    """The text that fits the number."""
    return _catalogue.ngettext(one, many, n)


def N_(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


def use(code: str) -> None:
    """Speak this language from now on; one without a catalogue is English."""
    global _catalogue, _code
    _catalogue = gettext.translation(_DOMAIN, _FOLDER, [code], fallback=True)
    _code = code


def current() -> str:
    return _code


def choose(flag: str | None, environ: Mapping[str, str], *, ascii: bool = False) -> Choice:
    """By `--lang`, then K3S_TUI_LANG, then the locale; what the terminal can show decides last."""
    locale = next(
        (value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), ""
    )
    asked = flag or environ.get("K3S_TUI_LANG") or ""
    code = _known(asked or locale)
    if code == "en":
        if asked and _language(asked) != "en":
            known = ", ".join(LANGUAGES)
            return Choice("en", f"English, because there is no {asked!r} here, only: {known}")
        return Choice("en")
    note = obstacle(environ, ascii=ascii)
    return Choice("en" if note else code, note)


def obstacle(environ: Mapping[str, str], *, ascii: bool) -> str:
    """Why Chinese cannot be shown on this terminal; '' when it can."""
    if ascii:
        return "English, because ASCII has no Chinese characters"
    if environ.get("TERM") == "linux":
        return "English, because a Linux console has no Chinese characters"
    encoding = next((environ[n] for n in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(n)), "")
    if "." in encoding and "utf" not in encoding.lower():
        return f"English, because the terminal's encoding is not UTF-8: {encoding}"
    return ""


def _known(wanted: str) -> str:
    """Every Chinese locale gets the Chinese there is, rather than English: readers of traditional
    characters read simplified ones more easily.
    """
    return "zh_CN" if _language(wanted) == "zh" else "en"


def _language(locale: str) -> str:
    """`zh` of `zh_TW.UTF-8`, of `zh-Hans` and of `zh`."""
    return re.split(r"[-_.@]", locale, maxsplit=1)[0].lower()
