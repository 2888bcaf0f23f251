"""What Textual itself would say in English, said in the operator's language."""

from __future__ import annotations

from typing import cast

from textual.app import App
from textual.command import CommandList, CommandPalette
from textual.theme import ThemeProvider
from textual.widgets.option_list import Option

from k3s_tui.tui.language import _
from k3s_tui.tui.text import plain


class TranslatedApp(App[int]):
    """Its palettes, and what it answers to Ctrl+C."""

    def action_help_quit(self) -> None:
        """Ctrl+C ends programs elsewhere, and nothing here."""
        self.notify(_("^q ends k3s-tui; while a run is under way, it asks how."), markup=False)

    def action_command_palette(self) -> None:
        if not CommandPalette.is_open(cast("App[object]", self)):
            self.push_screen(
                Palette(placeholder=_("Search for commands …"), id="--command-palette")
            )

    def search_themes(self) -> None:
        self.push_screen(Palette(providers=[ThemeProvider], placeholder=_("Search for themes …")))


class Palette(CommandPalette):
    def _start_no_matches_countdown(self, search_value: str) -> None:
        """Textual's own, but for the words."""
        self._stop_no_matches_countdown()

        def show() -> None:
            if search_value:
                told = Option(plain(_("No matches found")), disabled=True, id=self._NO_MATCHES)
                self.query_one(CommandList).add_option(told)
            self._list_visible = bool(search_value)

        self._no_matches_timer = self.set_timer(self._NO_MATCHES_COUNTDOWN, show)
