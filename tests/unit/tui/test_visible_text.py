"""What the wizard shows is translated, and what comes from outside is never read as markup.

A remote line such as `[/usr/lib]` ends an app that takes it for markup (seen).  The sources are
looked at, so a screen that nobody walks through is, too.  A finding says where, and what to write
instead.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tui import catalogue
from tests.unit.tui.visible_text import Reader, returning_safe

SOURCES = {path: ast.parse(path.read_text()) for path in sorted(catalogue.SOURCES.rglob("*.py"))}
SAFE_HERE = frozenset(name for tree in SOURCES.values() for name in returning_safe(tree))


@pytest.mark.parametrize(
    "path", SOURCES, ids=[str(path.relative_to(catalogue.SOURCES)) for path in SOURCES]
)
def test_a_module_shows_text_as_it_should(path: Path) -> None:
    found = sorted(Reader(SOURCES[path], SAFE_HERE).findings(), key=lambda finding: finding.line)
    where = path.relative_to(catalogue.ROOT)
    assert not found, "\n" + "\n".join(f"{where}:{each.line}: {each.text}" for each in found)


def told(code: str) -> list[str]:
    """What is said of these lines."""
    tree = ast.parse(code)
    return [each.text for each in Reader(tree, frozenset(returning_safe(tree))).findings()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('Static("Hosts")', "'Hosts' is not translated"),
        ('Button(label="Next")', "'Next' is not translated"),
        ('Binding("n", "next", "Next")', "'Next' is not translated"),
        ('Field(("ssh", "user"), label="User")', "'User' is not translated"),
        ('Field(("ssh", "user"), "User of all hosts")', "is not translated"),
        ('say("Nothing was changed")', "is not translated"),
        ('say(f"{n} hosts were changed")', "is not translated"),
        ('Static(plain(f"hosts: {n}"))', "'hosts: ' is not translated"),
        ('self.notify("saved", markup=False)', "'saved' is not translated"),
        ('self.notify(_("saved"))', "add markup=False"),
        ('self.notify(_("saved"), markup=yes)', "add markup=False"),
        ('Static(_("a list: [1]"))', "would begin markup"),
        ("Static(name)", "name may hold text from outside"),
        ("Static(str(error))", "may hold text from outside"),
        ('Label(_("on {host}").format(host=name))', "may hold text from outside"),
        ('Label(_(text) + f": {name}")', "may hold text from outside"),
        ("Static(plain(name) if name else self.name)", "self.name may hold"),
        ("Option(name, id=name)", "may hold text from outside"),
        ("table.add_row(plain(name), address)", "address may hold"),
        ("table.add_row(*map(str, cells))", "may hold text from outside"),
        ("node.set_label(step.what)", "step.what may hold"),
        ("self.border_title = name", "name may hold"),
        ("Input(name, tooltip=name)", "name may hold"),
        ("self.query_one('#a', Static).update(name)", "name may hold"),
        ('SystemCommand(_("Save"), str(path), save)', "str(path) may hold"),
        ("Content.from_markup(name)", "reads markup"),
        ('_(f"on {name}")', "translate first"),
        ('_("on {host}".format(host=name))', "translate first"),
        ('N_("on " + name)', "translate first"),
    ],
)
def test_what_is_wrong_is_found(line: str, words: str) -> None:
    found = told(f"def shown(name):\n    {line}\n")
    assert any(words in text for text in found), found


@pytest.mark.parametrize(
    "line",
    [
        'Static(_("Hosts"))',
        'Static("")',
        'Static(id="told", classes="good heading")',
        "Static(plain(name))",
        'Static(plain(_("on {host}").format(host=name)))',
        'Static(_("Go to: {step}").format(step=_(name)))',
        'Button(_(self._yes), variant="primary")',
        'Binding("n", "next", N_("Next"))',
        'self.notify(_("saved {path}").format(path=name), markup=False)',
        "self._profiles.update(name)",
        'table.add_row(plain(name), cell(""), key=name)',
        'raise OperatorError("no such host")',
        "x = plain(name)\n    Static(x)",
        "rows = [cell(each) for each in name]\n    table.add_row(*rows)",
        'x = self.query_one("#a", Static)\n    x.update(plain(name))',
    ],
)
def test_what_is_right_is_left_alone(line: str) -> None:
    assert told(f"def shown(name):\n    {line}\n") == []


def test_names_are_followed() -> None:
    assert told("def shown(x):\n    y = f'{x}'\n    Static(y)\n")
    assert told("def shown(x):\n    w = self.query_one(Static)\n    w.update(x)\n")
    assert told("class Bar(Static):\n    def shown(self, x):\n        self.update(x)\n")
    assert not told("def shown(x: Content):\n    Static(x)\n")
    assert not told("def made(x) -> Text: ...\ndef shown(x):\n    node.set_label(made(x))\n")
    assert told("def made(x) -> str: ...\ndef shown(x):\n    node.set_label(made(x))\n")


def test_a_translation_that_comes_too_early_is_found() -> None:
    assert "use N_()" in told('TITLE = _("Hosts")')[0]
    assert "use N_()" in told('class A:\n    title = _("Hosts")')[0]
    assert not told('TITLE = N_("Hosts")\nlater = lambda: _("Hosts")')
