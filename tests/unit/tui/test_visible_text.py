"""What is shown is either ours and translated, or from outside and plain: never markup by chance.

A remote line such as `[/usr/lib]` ends an app that takes it for markup (knowledge, seen).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "k3s_tui" / "tui"
SHOWS = {"Static", "Label", "Button", "Option", "Tick", "Checkbox"}
"""Widgets whose first argument is read as markup when it is a str."""

SAFE = {"_", "ngettext", "plain", "cell", "Content", "Text"}


PLAIN_ALREADY = {"label"}
"""Variables that hold what `plain` gave, all of them in a list of such."""


def is_safe(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name):
            return name in PLAIN_ALREADY
        case ast.Call(func=ast.Name(id=name)):
            return name in SAFE
        case ast.Call(func=ast.Attribute(value=ast.Name(id="Content"))):
            return True
        case ast.Constant(value=""):
            return True
        case ast.IfExp(body=body, orelse=other):
            return is_safe(body) and is_safe(other)
    return False


def offences(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        match node.func:
            case ast.Name(id=name) if name in SHOWS and node.args:
                if not is_safe(node.args[0]) and not isinstance(node.args[0], ast.Starred):
                    yield f"{node.lineno}: {name}(…): wrap it in _() if it is ours, else in plain()"
            case ast.Attribute(attr="notify"):
                markup = keywords.get("markup")
                if not (isinstance(markup, ast.Constant) and markup.value is False):
                    yield f"{node.lineno}: notify(…) without markup=False"
            case ast.Attribute(
                attr="update",
                value=ast.Call(func=ast.Attribute(attr="query_one"), args=[_, ast.Name("Static")]),
            ):
                if (
                    node.args
                    and not is_safe(node.args[0])
                    and not isinstance(node.args[0], ast.Name)
                ):
                    yield f"{node.lineno}: update(…): plain() or _()"


@pytest.mark.parametrize(
    "path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES))
)
def test_no_text_is_markup_by_chance(path: Path) -> None:
    assert list(offences(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "Static(f'{name}')",
        "Label(name)",
        "Button('Next')",
        "self.notify(text)",
        "self.query_one('#x', Static).update(f'{x}')",
        "Static(_('hello {name}').format(name=name))",
    ],
)
def test_it_would_be_found(source: str) -> None:
    assert list(offences(source))


@pytest.mark.parametrize(
    "source",
    [
        "Static(plain(name))",
        "Static(_('hello'))",
        "Static(id='x')",
        "Button(_('Next'), id='next')",
        "self.notify(text, markup=False)",
        "self.query_one('#x', Static).update(plain(x))",
    ],
)
def test_and_nothing_else(source: str) -> None:
    assert not list(offences(source))
