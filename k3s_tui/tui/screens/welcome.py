"""Where it begins: a new profile, one that is there, or a run that did not end."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

import k3s_tui
from k3s_tui.core.errors import OperatorError
from k3s_tui.core.files import at_home
from k3s_tui.procedure.history import Past, last_run
from k3s_tui.tui import kept
from k3s_tui.tui.language import LANGUAGES, N_, _
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.steps import STEPS
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.step_bar import TitleBar

_MOST = 20
"""Profiles of one folder that are offered."""


class WelcomeScreen(Page):
    HELP = N_(
        "From bare Linux hosts to a highly available K3s cluster. Nothing touches a host before "
        "you have seen the plan and confirmed it. Keys: arrows and Enter; Tab moves on."
    )

    _asked_for = "new"

    def compose(self) -> ComposeResult:
        yield TitleBar()
        with Vertical(id="welcome"):
            yield Static(plain(f"k3s-tui {k3s_tui.__version__}"), id="name")
            yield Static(
                _("A highly available K3s cluster on external PostgreSQL, from bare hosts.")
            )
            yield OptionList(*self._options(), id="choices")
            yield Input(
                placeholder=_("file name of the new profile, such as cluster.toml"),
                id="path",
                compact=True,
            )
            yield Static(id="wrong")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#path").display = False
        self.query_one("#choices").focus()

    def _options(self) -> Iterator[Option]:
        yield Option(_("New cluster …"), id="new")
        for path, document in _profiles(self.wizard.settings.folder):
            past = last_run(path, str(document.get("name", "")))
            hosts = len(document.get("hosts", {}))
            text = _("Open {file}  ({hosts} hosts)").format(file=path.name, hosts=hosts)
            if past is not None and not past.ended:
                text += "  " + _past(past)
            if kept.unsaved(path) is not None:
                text += "  " + _("with unsaved changes")
            yield Option(plain(text), id=f"open {path}")
        for unsaved in kept.all_unsaved(self.wizard.settings.folder):
            if not unsaved.path.exists():
                text = _("Go on with {file}, never saved").format(file=unsaved.path.name)
                yield Option(plain(text), id=f"resume {unsaved.path}")
        yield Option(_("Open another profile …"), id="other")
        for code, name in LANGUAGES.items():
            yield Option(plain(f"{_('Language')}: {name}"), id=f"speak {code}")
        yield Option(_("Theme …"), id="theme")
        yield Option(_("Quit"), id="quit")

    @on(OptionList.OptionSelected, "#choices")
    async def _choose(self, event: OptionList.OptionSelected) -> None:
        what, _blank, rest = (event.option_id or "").partition(" ")
        match what:
            case "new" | "other":
                path = self.query_one("#path", Input)
                path.display = True
                self._asked_for = what
                path.value = "cluster.toml" if what == "new" else ""
                path.focus()
            case "open":
                self._open(Path(rest))
            case "resume":
                if (unsaved := kept.unsaved(Path(rest))) is not None:
                    self.wizard.resume(unsaved)
            case "speak":
                await self.wizard.speak(rest)
            case "theme":
                self.app.action_change_theme()
            case "quit":
                await self.wizard.action_quit()

    @on(Input.Submitted, "#path")
    def _named(self, event: Input.Submitted) -> None:
        typed = event.value.strip()
        if not typed:
            return
        path = self.wizard.settings.folder / at_home(typed)
        if path.suffix != ".toml":
            path = path.with_name(f"{path.name}.toml")
        if path.exists():
            self._open(path)
        elif self._asked_for == "other":
            self._complain(_("{path} does not exist").format(path=path))
        elif not path.parent.is_dir():
            self._complain(_("there is no folder {path}").format(path=path.parent))
        else:
            self.wizard.new_draft(path)
            self.wizard.go(STEPS[0].id)

    def _open(self, path: Path) -> None:
        try:
            self.wizard.open(path)
        except OperatorError as error:
            render = getattr(error, "render", None)
            self._complain(render() if render else str(error))

    def _complain(self, text: str) -> None:
        self.query_one("#wrong", Static).update(plain(text))


def _past(past: Past) -> str:
    return _("its last run did not end: {where}").format(where=past.where)


def _profiles(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """TOML files that look like profiles; others are left alone."""
    found = 0
    for path in sorted(folder.glob("*.toml")):
        try:
            document = tomllib.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if {"hosts", "k3s"} <= document.keys() and found < _MOST:
            found += 1
            yield path, document
