"""A step of the wizard: its fields, what is wrong with them, and the ways back and on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.events import DescendantBlur, DescendantFocus
from textual.widgets import Button, Static

from k3s_tui.profile.locate import Path as Place
from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.fixed import tell as tell_fixed
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.problems import tell
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.steps import WizardStep, problems_of
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.options_field import OptionsField
from k3s_tui.tui.widgets.step_bar import StepBar, TitleBar


class StepScreen(Page):
    """Made anew from the draft each time one comes to it: no widget keeps anything."""

    BINDINGS = [
        Binding("ctrl+n", "next", N_("Next"), key_display="^n"),
        Binding("escape", "back", N_("Back"), key_display="Esc"),
    ]
    HELP: ClassVar[str] = ""
    """What the whole step is about, for its help."""

    def __init__(self, step: WizardStep) -> None:
        super().__init__()
        self.step = step
        self.first: Place = ()
        """The field that gets the focus; () for the first there is."""

    @property
    def draft(self) -> Draft:
        return self.wizard.draft

    def compose(self) -> ComposeResult:
        yield TitleBar()
        yield StepBar(self.step.id)
        with VerticalScroll(id="body", can_focus=False):
            yield Static(id="homeless")
            yield from self.body()
        yield Static(id="told")
        with Horizontal(id="nav"):
            yield Static(id="summary")
            yield from self.buttons()
            yield Button(_("Back"), id="back", compact=True)
            yield Button(_("Next"), id="next", variant="primary", compact=True)
        yield KeyBar()

    def anew(self) -> StepScreen:
        """The same step, for another language."""
        screen = self.step.screen()
        focused = _field_of(self.focused)
        screen.first = focused.place if focused else self.first
        return screen

    def body(self) -> Iterable[Field | Static]:
        """What the step asks for."""
        return ()

    def buttons(self) -> Iterable[Button]:
        """Buttons of its own, left of Back and Next."""
        return ()

    def on_mount(self) -> None:
        if self.step.id in self.wizard.visited:
            self.show_problems()
        else:
            self.summarize()
        self.wizard.visited.add(self.step.id)
        self._fix()
        self._go_to_first()

    def _go_to_first(self) -> None:
        """To the field that asks for what is there, or to what is told of it."""
        if not self.first:
            return
        at = [f for f in self.query(Field) if self.first[: len(f.place)] == f.place]
        if at:
            max(at, key=lambda field: len(field.place)).focus_input()
        elif self.homeless:
            self.call_after_refresh(self._show_homeless)

    def _show_homeless(self) -> None:
        self.query_one("#homeless").scroll_visible(animate=False, force=True)

    def _fix(self) -> None:
        """What a cluster that is there has decided is shown as such.

        A value that breaks a rule, or is no longer what was applied, can be put right.
        """
        codes = self.draft.fixed
        for field in self.query(Field):
            if field.place in codes and not field.is_wrong:
                field.fix(tell_fixed(codes[field.place]))
            elif isinstance(field, OptionsField):
                field.fix_options()

    @property
    def problems(self) -> list[ProfileProblem]:
        """What is wrong with the parts of the profile that this step asks for."""
        return problems_of(self.step, self.draft.problems())

    @property
    def homeless(self) -> list[ProfileProblem]:
        """Those of no field: only in the file one can see to them."""
        fields = [field.place for field in self.query(Field)]
        return [p for p in self.problems if not any(p.path[: len(f)] == f for f in fields)]

    def show_problems(self) -> None:
        """Put each problem below its field; those of no field are told above all fields."""
        for field in self.query(Field):
            field.show(self.draft.problems(field.place))
        self.summarize()

    def summarize(self) -> None:
        """One line on what keeps the operator from going on."""
        errors = [p for p in self.problems if p.severity == "error"]
        homeless = self.homeless
        self._tell_homeless(homeless)
        if homeless:
            text = tell(homeless[0])
        elif errors:
            text = ngettext("{n} entry to mend", "{n} entries to mend", len(errors)).format(
                n=len(errors)
            )
        else:
            text = ""
        summary = self.query_one("#summary", Static)
        summary.update(plain(text), layout=False)
        summary.set_class(bool(errors), "-error")

    def _tell_homeless(self, homeless: list[ProfileProblem]) -> None:
        told = [self._told(problem) for problem in homeless if not self.tells(problem)]
        if told:
            path = self.draft.path.name
            told.append(_("No step asks for this: see to it in {path}.").format(path=path))
        block = self.query_one("#homeless", Static)
        block.display = bool(told)
        block.set_class(any(p.severity == "error" for p in homeless), "-error")
        block.update(plain("\n".join(told)))

    def _told(self, problem: ProfileProblem) -> str:
        """With its line in the file, where it is there."""
        line = self.draft.line(problem.path)
        where = f"{_('line {n}').format(n=line)}: " if line else ""
        return f"{where}{problem.where}: {tell(problem)}"

    def tells(self, problem: ProfileProblem) -> bool:
        """Whether this step has another place for a problem of no field."""
        return False

    @on(Field.Changed)
    def _write(self, event: Field.Changed) -> None:
        event.field.write(self.draft)
        if event.field.decides:
            self.draft.settle()
            self.wizard.go(self.step.id, event.field.place)
            return
        if event.field.told:
            event.field.show(self.draft.problems(event.field.place))
        self.changed()
        self.summarize()

    def changed(self) -> None:
        """The draft says something else; for steps that show what follows from it."""

    @on(DescendantBlur)
    def _judge(self, event: DescendantBlur) -> None:
        field = _field_of(event.widget)
        if field is not None and field.edited:
            field.show(self.draft.problems(field.place))

    @on(DescendantFocus)
    def _explain(self, event: DescendantFocus) -> None:
        field = _field_of(event.widget)
        self.query_one("#told", Static).update(plain(_(field.help) if field else ""))

    @on(Button.Pressed, "#next")
    def _next_pressed(self) -> None:
        # A handler of a base class is called even where a subclass has one of the same name.
        self.action_next()

    @on(Button.Pressed, "#back")
    def _back_pressed(self) -> None:
        self.action_back()

    def action_next(self) -> None:
        """Go on, unless something here is wrong: then to the first field that is."""
        errors = [p for p in self.problems if p.severity == "error"]
        if errors:
            self.show_problems()
            for field in self.query(Field):
                if field.is_wrong:
                    field.focus_input()
                    return
            if self.homeless:
                self._show_homeless()
            self.app.bell()
            return
        self.wizard.go_on(self.step)

    def action_back(self) -> None:
        self.wizard.go_back(self.step)


def _field_of(widget: object) -> Field | None:
    from textual.widget import Widget

    if isinstance(widget, Widget):
        for node in widget.ancestors_with_self:
            if isinstance(node, Field):
                return node
    return None
