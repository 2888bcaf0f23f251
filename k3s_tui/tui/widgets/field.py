"""One value of the profile: its name, where it is typed, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from textual import on
from textual.app import ComposeResult
from textual.events import DescendantFocus
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select, Static, TextArea

from k3s_tui.hosts.sanitize import sanitize, sanitize_block
from k3s_tui.profile.locate import Path as Place
from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.choice import Choice
from k3s_tui.tui.widgets.labelled import Labelled

Kind: TypeAlias = Literal["text", "number", "list", "table", "choice"]


class Field(Labelled):
    """`place` is the value's path in the profile; `label` and `help` are marked English."""

    class Changed(Message):
        """The operator typed."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    def __init__(
        self,
        place: Place,
        label: str,
        value: Any,
        *,
        help: str = "",
        kind: Kind = "text",
        choices: Sequence[tuple[str, str]] = (),
        placeholder: str = "",
        default: Any = None,
        decides: bool = False,
    ) -> None:
        """`choices` are values and what they are called; `default` is what no value means.  What
        a field `decides` is which others there are.
        """
        super().__init__(label)
        self.place = place
        self.help = help
        self.kind = kind
        self.decides = decides
        self.told = False
        self.edited = False
        self.is_wrong = False
        self.problem = ""
        """What stands below the input."""
        self.fixed = ""
        """Why the value cannot be changed any more."""
        self._value = value
        self._choices = choices
        self._placeholder = placeholder
        self._default = default
        self._typed_before: Any = None

    def compose(self) -> ComposeResult:
        yield self._make_editor()

    @property
    def editor(self) -> Widget:
        """What is typed into, or chosen from."""
        return self.children[0]

    def _make_editor(self) -> Input | Select[str] | TextArea:
        value = self._default if self._value is None else self._value
        if self.kind == "choice":
            known = [each for each, _label in self._choices]
            return Choice(
                [(_(label), each) for each, label in self._choices],
                value=value if value in known else Select.NULL,
                allow_blank=value not in known,
                compact=True,
            )
        if self.kind == "table":
            return TextArea(sanitize_block(str(value or "")), compact=True, tab_behavior="focus")
        return Input(as_text(value), placeholder=plain_placeholder(self._placeholder), compact=True)

    @property
    def typed(self) -> Any:
        """What was typed, as the profile would hold it; None for nothing."""
        editor = self.editor
        if isinstance(editor, Select):
            return None if editor.value is Select.NULL else editor.value
        if isinstance(editor, TextArea):
            return editor.text
        assert isinstance(editor, Input)
        text = editor.value.strip()
        if self.kind == "list":
            return text.replace(",", " ").split() or None
        if not text:
            return None
        return int(text) if self.kind == "number" and text.isdecimal() else text

    def write(self, draft: Draft) -> None:
        """Put what was typed into the draft."""
        if self.kind == "table":
            draft.set_table(self.place, self.typed)
        else:
            draft.set(self.place, self.typed)

    def show(self, problems: Sequence[ProfileProblem]) -> None:
        """Say what is wrong with the value, if anything is."""
        self.told = True
        self.is_wrong = any(problem.severity == "error" for problem in problems)
        self.set_class(self.is_wrong, "-wrong")
        said = [self.fixed] if self.fixed else []
        self._tell("\n".join([*said, *(tell(problem) for problem in problems)]))
        self.show_whole()

    def fix(self, why: str) -> None:
        """From now on it can be read only."""
        self.fixed = why
        self.editor.disabled = True
        self._tell(why)

    def _tell(self, text: str) -> None:
        if text == self.problem:
            return
        self.problem = text
        self.set_class(bool(text), "-told")
        lines = self.query(".problem").results(Static)
        # Few fields ever have something to tell: it is mounted when there is.
        if (line := next(lines, None)) is None:
            self.mount(_Problem(plain(text), classes="problem"))
        else:
            line.update(plain(text))

    @on(DescendantFocus)
    def show_whole(self) -> None:
        """What is said below the input is seen, too."""
        if self.has_focus_within:
            self.call_after_refresh(self.scroll_visible, animate=False)

    def focus_input(self) -> None:
        self.editor.focus()

    @on(Input.Changed)
    @on(Select.Changed)
    @on(TextArea.Changed)
    def _report(self, event: Message) -> None:
        event.stop()
        # What is pasted is drawn as it is.
        if isinstance(event, Input.Changed) and sanitize(event.value) != event.value:
            event.input.value = sanitize(event.value)
        elif isinstance(event, TextArea.Changed):
            area = event.text_area
            if sanitize_block(area.text) != area.text:
                area.text = sanitize_block(area.text)
        if self.typed != self._typed_before:
            self._typed_before = self.typed
            self.edited = True
            self.post_message(self.Changed(self))

    def on_mount(self) -> None:
        # Widgets report their first value as a change, which nobody typed.
        self._typed_before = self.typed


class _Problem(Static):
    def on_resize(self) -> None:
        # Only now it has its lines.
        for node in self.ancestors:
            if isinstance(node, Field):
                node.show_whole()


def as_text(value: Any) -> str:
    """A value of the profile as one would type it; an input draws control characters as they are,
    so they are made visible.
    """
    if isinstance(value, (list, tuple)):
        return sanitize(", ".join(str(item) for item in value))
    return "" if value is None else sanitize(str(value))


def plain_placeholder(text: str) -> str:
    return _(text) if text else ""
