"""What every screen has: translated keys, and help for what is focused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import SystemCommand
from textual.binding import ActiveBinding, Binding
from textual.events import ScreenResume
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from k3s_tui.tui.language import N_, _
from k3s_tui.tui.widgets import cursor

if TYPE_CHECKING:
    from k3s_tui.tui.app import Wizard

T = TypeVar("T")


class Spoken(Screen[T]):
    """What pages and dialogs have in common."""

    HELP: ClassVar[str] = ""
    """What the whole of it is about, for its help."""

    BINDINGS = [Binding("f1,question_mark", "help", N_("Help"), key_display="F1")]

    @property
    def wizard(self) -> Wizard:
        return cast("Wizard", self.app)

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The footer and the list of keys read this: here they speak the operator's language."""
        return translated(super().active_bindings)

    def explained(self, widget: Widget) -> tuple[str, str]:
        """What one of its widgets is called, and what is to be known of it; '' for nothing."""
        from k3s_tui.tui.widgets.field import Field

        for node in widget.ancestors_with_self:
            if isinstance(node, Field):
                return node.label, node.help
        return "", ""

    def on_mount(self) -> None:
        self.watch(self, "focused", self._follow_focus)
        self.screen_layout_refresh_signal.subscribe(self, lambda _screen: self._place_cursor())

    def on_screen_resume(self, event: ScreenResume) -> None:
        self._place_cursor()

    def on_resize(self) -> None:
        """What has the focus stays in sight."""
        if self.focused is not None:
            self.call_after_refresh(self.focused.scroll_visible, animate=False)

    def _follow_focus(self) -> None:
        if self.focused is not None:
            for attribute in cursor.moved_by(self.focused):
                self.watch(self.focused, attribute, self._place_cursor, init=False)
        self._place_cursor()

    def _place_cursor(self) -> None:
        """The terminal's cursor goes where the operator is: into the row that is highlighted."""
        if self.is_current and self.focused is not None:
            self.app.cursor_position = cursor.position(self.focused) or self.app.cursor_position

    def action_help(self) -> None:
        from k3s_tui.tui.dialogs.help import HelpDialog

        self.app.push_screen(HelpDialog(self))


class Page(Spoken[None]):
    """A screen of the wizard."""

    _was_shown = False

    def on_screen_resume(self, event: ScreenResume) -> None:
        # What was mounted a moment ago has its styles; only what lay under another screen, or
        # an earlier theme, needs them anew.
        if not self._was_shown:
            self._was_shown = True
            event.refresh_styles = False

    def commands(self) -> Iterable[SystemCommand]:
        """What this screen adds to the palette: each of its keys that needs no field."""
        return ()


class Dialog(Spoken[T], ModalScreen[T]):
    """A question on top of a screen.  Escape is the safe answer."""


def translated(bindings: dict[str, ActiveBinding]) -> dict[str, ActiveBinding]:
    return {
        key: active._replace(
            binding=replace(active.binding, description=_(active.binding.description))
        )
        for key, active in bindings.items()
    }
