"""Where it begins: a new profile, one that is there, or a run that did not end."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

import k3s_tui
from k3s_tui.core.errors import Exit, OperatorError
from k3s_tui.core.files import at_home
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.procedure.history import Past, last_run
from k3s_tui.profile.problem import ProfileInvalid
from k3s_tui.tui import kept
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.language import LANGUAGES, N_, _
from k3s_tui.tui.problems import tell_invalid
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.steps import STEPS
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.step_bar import TitleBar

_MOST = 20
"""Profiles of one folder that are offered."""


_RESUME: dict[int | None, str] = {
    None: N_("Resume {file}: cut off at {where}"),
    Exit.FAILED: N_("Resume {file}: failed at {where}"),
    Exit.INTERRUPTED: N_("Resume {file}: stopped at {where}"),
    Exit.BUG: N_("Resume {file}: a bug ended it at {where}"),
}
"""What can be gone on with, by the run's exit code."""

_ENDED: dict[int | None, str] = {
    None: N_("its last run was cut off before it changed anything"),
    Exit.FAILED: N_("its last run failed"),
    Exit.CREDENTIALS: N_("its last run was refused a credential"),
    Exit.REFUSED: N_("its last run was refused"),
    Exit.INTERRUPTED: N_("its last run was stopped before it changed anything"),
}
"""What became of a run that has changed nothing."""


class WelcomeScreen(Page):
    HELP = N_(
        "From bare Linux hosts to a highly available K3s cluster. Nothing touches a host before "
        "you have seen the plan and confirmed it. Keys: arrows and Enter; Tab moves on."
    )

    _asked_for = "new"

    def compose(self) -> ComposeResult:
        yield TitleBar()
        with VerticalScroll(id="welcome", can_focus=False):
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
            resume = _resume(path, past) if past is not None else ""
            hosts = len(document.get("hosts", {}))
            text = _("Open {file}  ({hosts} hosts)").format(file=path.name, hosts=hosts)
            if past is not None and not resume and (note := _past(past)):
                text += "  " + note
            if kept.unsaved(path) is not None:
                text += "  " + _("with unsaved changes")
            yield Option(plain(text), id=f"open {path}")
            if resume:
                yield Option(plain(resume), id=f"again {path}")
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
            case "again":
                self._open(Path(rest), "review")
            case "resume":
                if (unsaved := kept.unsaved(Path(rest))) is not None:
                    self.wizard.resume(unsaved)
            case "speak":
                await self.wizard.speak(rest)
            case "theme":
                self.app.action_change_theme()
            case "quit":
                await self.wizard.action_quit()

    @on(Input.Changed, "#path")
    def _make_visible(self, event: Input.Changed) -> None:
        """What is pasted is drawn as it is."""
        if sanitize(event.value) != event.value:
            event.input.value = sanitize(event.value)

    @on(Input.Submitted, "#path")
    def _named(self, event: Input.Submitted) -> None:
        typed = event.value.strip()
        if not typed:
            return
        path = self.wizard.settings.folder / at_home(typed)
        if path.suffix != ".toml":
            path = path.with_name(f"{path.name}.toml")
        if path.exists() and self._asked_for == "new":
            question = _("{path} is there already. Open it?").format(path=path.name)
            self.app.push_screen(
                ConfirmDialog(question, yes=N_("Open"), no=N_("Another name")),
                lambda yes: self._open(path) if yes else None,
            )
        elif path.exists():
            self._open(path)
        elif self._asked_for == "other":
            self._complain(_("{path} does not exist").format(path=path))
        elif not path.parent.is_dir():
            self._complain(_("there is no folder {path}").format(path=path.parent))
        else:
            self.wizard.new_draft(path)
            self.wizard.go(STEPS[0].id)

    def _open(self, path: Path, step: str = STEPS[0].id) -> None:
        try:
            self.wizard.open(path, step)
        except ProfileInvalid as error:
            self._complain(tell_invalid(error))
        except OperatorError as error:
            self._complain(str(error))

    def _complain(self, text: str) -> None:
        wrong = self.query_one("#wrong", Static)
        wrong.update(plain(text))
        self.call_after_refresh(wrong.scroll_visible, animate=False)


def _resume(path: Path, past: Past) -> str:
    """What to choose to go on with a run; '' where nothing is left of it."""
    if not past.resumable:
        return ""
    told = _RESUME.get(past.exit, N_("Resume {file}: ended early at {where}"))
    return _(told).format(file=path.name, where=past.where)


def _past(past: Past) -> str:
    """What became of a run that has changed nothing, or is under way; '' for one that ended."""
    if past.ended:
        return ""
    if past.running:
        when = datetime.fromtimestamp(past.began).strftime("%Y-%m-%d %H:%M")
        return _("a run is under way since {when}, in another terminal").format(when=when)
    told = _ENDED.get(past.exit, N_("its last run ended early"))
    why = next(iter(past.why.splitlines()), "")
    return f"{_(told)}: {why}" if why else _(told)


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
