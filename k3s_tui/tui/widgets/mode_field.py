"""Who provides something: a choice of which this version knows one, and the places of the rest."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Click
from textual.widgets import Label, Static

from k3s_tui.profile.locate import Path as Place
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field


class ModeField(Field):
    """`works` is the mode there is; `later` are modes that a profile may name already.

    It can be focused only while the profile names another one than what works.
    """

    DEFAULT_CSS = """
    ModeField .modes { height: auto; width: 1fr; }
    ModeField .modes > Static { height: auto; }
    ModeField .later { color: $text-muted; }
    ModeField _Mode:focus { background: $primary; color: $text; }
    """

    def __init__(
        self,
        place: Place,
        label: str,
        value: object,
        *,
        works: tuple[str, str],
        later: Sequence[tuple[str, str]],
        help: str = "",
    ) -> None:
        """Modes are a value and what it is called, marked English."""
        super().__init__(place, label, value, help=help, default=works[0])
        self._works, self._later = works, later
        self._chosen = works[0] if value is None else value

    def compose(self) -> ComposeResult:
        with Horizontal(classes="entry"):
            yield Label(plain(_(self.label)), classes="label")
            with Vertical(classes="modes"):
                yield _Mode(self._works[1], on=self._chosen == self._works[0])
                for each in self._later:
                    yield Static(plain(self._told(each)), classes="later", disabled=True)

    @property
    def typed(self) -> object:
        return self._chosen

    def focus_input(self) -> None:
        self.query_one(_Mode).focus()

    def choose(self) -> None:
        """Take the one that works."""
        self._chosen = self._works[0]
        self.query_one(_Mode).take()
        for widget, each in zip(self.query(".later").results(Static), self._later, strict=True):
            widget.update(plain(self._told(each)))
        self.edited = True
        self.post_message(self.Changed(self))

    def _told(self, mode: tuple[str, str]) -> str:
        value, label = mode
        sign = "(x)" if self._chosen == value else "( )"
        later = _("comes with a later version")
        return f"{sign} {_(label)}: {later}"


class _Mode(Static):
    """The one that can be chosen, if it is not chosen already."""

    BINDINGS = [Binding("enter,space", "choose", N_("Choose"), show=False)]

    def __init__(self, label: str, *, on: bool) -> None:
        super().__init__()
        self._label = label
        self._on = on
        self.can_focus = not on

    def on_mount(self) -> None:
        self.update(plain(f"{'(x)' if self._on else '( )'} {_(self._label)}"))

    def take(self) -> None:
        self._on = True
        self.can_focus = False
        self.on_mount()

    def action_choose(self) -> None:
        for node in self.ancestors:
            if isinstance(node, ModeField):
                node.choose()
                return

    def on_click(self, event: Click) -> None:
        if not self._on:
            self.action_choose()
