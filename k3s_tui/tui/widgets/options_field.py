"""Options of K3s, typed as TOML: what is wrong is told with its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.widgets import TextArea

from k3s_tui.profile.load import located
from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui import glyphs
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.fixed import tell as tell_fixed
from k3s_tui.tui.language import _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.widgets.field import Field


class OptionsField(Field):
    """A table of the profile.  With a problem, the cursor is put where it is."""

    def __init__(self, place: tuple[str, ...], label: str, draft: Draft, *, help: str = "") -> None:
        super().__init__(place, label, draft.table_text(place), help=help, kind="table")
        self._draft = draft
        self._wrong_line = 0

    def fix_options(self) -> None:
        """Some of its options cannot be changed any more; all others can."""
        names = [str(place[-1]) for place in self._draft.fixed if place[:-1] == self.place]
        if names:
            self.fixed = _not_to_be_changed(names)
            self._tell(self._about_fixed())

    def _about_fixed(self) -> str:
        """Those that were changed all the same, or else all of them."""
        if changed := self._draft.changed_options(self.place):
            return f"{glyphs.glyph('warning')} {_not_to_be_changed(changed)}"
        return self.fixed

    def show(self, problems: Sequence[ProfileProblem]) -> None:
        # While the text is no TOML, the rest speaks of a table that was there before.
        syntax = [problem for problem in problems if problem.code == "syntax"]
        found = syntax or self._located(problems)
        super().show(found)
        self._wrong_line = next((problem.line for problem in found if problem.line), 0)
        said = [self._about_fixed()] if self.fixed else []
        self._tell("\n".join([*said, *map(_told, found)]))

    def _located(self, problems: Sequence[ProfileProblem]) -> list[ProfileProblem]:
        """By the lines of what was typed."""
        inside = [replace(p, path=p.path[len(self.place) :]) for p in problems]
        return located(inside, str(self.typed)) if inside else []

    def focus_input(self) -> None:
        super().focus_input()
        if self._wrong_line:
            self.query_one(TextArea).move_cursor((self._wrong_line - 1, 0))


def _not_to_be_changed(names: Sequence[str]) -> str:
    return f"{', '.join(names)}: {tell_fixed('network')}"


def _told(problem: ProfileProblem) -> str:
    if not problem.line:
        return tell(problem)
    return f"{_('line {n}').format(n=problem.line)}: {tell(problem)}"
