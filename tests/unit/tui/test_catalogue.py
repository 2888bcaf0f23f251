"""Every text that the wizard shows is there in Chinese, says the same things, and is compiled."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from k3s_tui import profile
from k3s_tui.profile import shapes
from k3s_tui.tui.problems import KINDS
from k3s_tui.tui.steps import STEPS
from k3s_tui.tui.widgets.step_bar import NARROWEST
from tests.tui import catalogue

PLACEHOLDER = re.compile(r"\{[a-z_]*(?::[^}]*)?\}")


def forms(string: object) -> list[str]:
    if isinstance(string, (tuple, list)):
        return list(string)
    return [string] if isinstance(string, str) else []


def test_every_text_is_translated() -> None:
    known = catalogue.translated()
    missing = []
    for message in catalogue.said():
        found = known.get(message.id) if message.id else None
        if message.id and (found is None or not catalogue.is_done(found.string) or found.fuzzy):
            missing.append(message.id)
    assert not missing, f"{len(missing)} texts: make messages, then translate {catalogue.PO.name}"


def test_nothing_is_translated_that_nobody_says() -> None:
    said = {message.id for message in catalogue.said()}
    assert not [m.id for m in catalogue.translated() if m.id and m.id not in said]


def test_placeholders_are_the_same() -> None:
    for message in catalogue.translated():
        wanted = set(chain.from_iterable(map(PLACEHOLDER.findall, forms(message.id))))
        for text in forms(message.string):
            if text and message.id:
                assert set(PLACEHOLDER.findall(text)) == wanted, message.id


def test_no_translation_brings_markup() -> None:
    """What is shown as it is has no bracket in English, which is looked at in the sources."""
    for message in catalogue.translated():
        for text in forms(message.string):
            assert ("[" in text) == ("[" in "".join(forms(message.id))), message.id


def test_it_is_compiled() -> None:
    assert catalogue.MO.read_bytes() == catalogue.compiled(catalogue.translated()), "make messages"


def test_the_step_bar_fits_80_columns() -> None:
    known = catalogue.translated()
    tabs = [step.tab or step.title for step in STEPS]
    chinese = [str(message.string) for tab in tabs if (message := known.get(tab)) is not None]
    assert len(chinese) == len(tabs)
    for titles in (tabs, chinese):
        # A mark, a number and a blank before each, a blank after; the current one has brackets.
        assert sum(cell_len(title) + 4 for title in titles) + 1 <= NARROWEST


def test_every_kind_of_problem_has_words() -> None:
    """A new rule's code is told in every language."""
    codes = set()
    for path in Path(profile.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ProfileProblem":
                code = node.args[0]
                codes |= {code.value} if isinstance(code, ast.Constant) else set()
    codes |= {str(words["code"]) for words in _shapes() if "code" in words}
    assert {"missing-key", "even-servers", "one-family", "no-role", "bad-taint"} <= codes
    assert not codes - KINDS.keys()


def _shapes() -> Iterator[dict[str, Any]]:
    """What the shapes of single values say of themselves."""
    for shape in vars(shapes).values():
        for meta in getattr(shape, "__metadata__", ()):
            yield meta.extra or {}
