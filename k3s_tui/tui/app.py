"""The wizard: what all its screens share, and the ways between them."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import SystemCommand
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer
from textual.worker import WorkerFailed

from k3s_tui.core.errors import Exit, OperatorError
from k3s_tui.engine.plan import Plan
from k3s_tui.hosts.sanitize import sanitize_block
from k3s_tui.procedure.probing import Found
from k3s_tui.profile.locate import Path as Place
from k3s_tui.profile.model import Profile
from k3s_tui.profile.secrets import Resolver
from k3s_tui.tui import garbage, glyphs, kept, language, themes
from k3s_tui.tui.ascii import AsciiFilter
from k3s_tui.tui.ask import DialogAsk
from k3s_tui.tui.backend import Backend, Engine
from k3s_tui.tui.controller import Watched
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.reviewed import needs_review
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.steps import STEPS, WizardStep, load_screens, number, problems_of
from k3s_tui.tui.terminal import Terminal
from k3s_tui.tui.text import plain
from k3s_tui.tui.translated import TranslatedApp

STYLES = Path(__file__).parent / "styles"
WIDE = 100
"""Columns from which screens show things side by side."""


def _load() -> None:
    load_screens()
    garbage.keep()


@dataclass(frozen=True)
class Settings:
    """How the wizard was started."""

    profile: Path | None = None
    folder: Path = Path()
    """Where profiles are looked for, and new ones written; by default where one is."""
    passphrase_file: Path | None = None
    backend: Callable[[Draft, Resolver, DialogAsk], Backend] | None = None
    """Makes who does the work, for a demo without hosts."""
    clock: Callable[[], float] = time.time
    """Seconds since the epoch; a picture of a run has its own."""
    notes: tuple[str, ...] = ()
    """What there is to say about the start, such as a language that cannot be shown."""


class Wizard(TranslatedApp):
    """Exits with the code of the last run, or 0."""

    CSS_PATH = sorted(STYLES.glob("*.tcss"))
    TITLE = "k3s-tui"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
    BINDINGS = [
        Binding("ctrl+q", "quit", N_("Quit"), key_display="^q", show=False, priority=True),
        # Textual's own, named here for the translation of its footer.
        Binding(
            "ctrl+p", "command_palette", N_("palette"), key_display="^p", show=False, system=True
        ),
        Binding("ctrl+s", "save", N_("Save"), key_display="^s", show=False),
        *(
            Binding(f"f{at}", f"step('{step.id}')", step.title, show=False)
            for at, step in enumerate(STEPS, 2)
        ),
    ]

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.ask = DialogAsk(self)
        self.visited: set[str] = set()
        self.run_controller: Watched | None = None
        self.found: dict[str, tuple[str, Found]] = {}
        """What probes found, by host, and how it was reached then."""
        self.plan: Plan | None = None
        """What the last look at the hosts found."""
        self.allow_restart = False
        """Whether PostgreSQL may restart under sessions of others; never kept for another day."""
        self._draft: Draft | None = None
        self._secrets: Resolver | None = None
        self._backend: Backend | None = None
        loaded = themes.load(themes.user_folder())
        for theme in loaded.themes:
            self.register_theme(theme)
        self._first_theme = ""
        self.abandoned = False
        """Whether the operator has left a run that was under way."""
        self._notes = (*settings.notes, *loaded.warnings)
        self._sweep: Timer | None = None

    @property
    def has_draft(self) -> bool:
        return self._draft is not None

    @property
    def draft(self) -> Draft:
        assert self._draft is not None, "a step is shown only once there is a profile"
        return self._draft

    @property
    def secrets(self) -> Resolver:
        """Asks for the passphrase once, for as long as one works on this profile."""
        assert self._secrets is not None
        return self._secrets

    @property
    def backend(self) -> Backend:
        """Who looks at the hosts of this profile, and changes them."""
        assert self._backend is not None
        return self._backend

    def get_driver_class(self) -> type[Driver]:
        driver = super().get_driver_class()
        return Terminal if driver is LinuxDriver else driver

    def get_line_filters(self) -> Sequence[LineFilter]:
        """On top of Textual's own, which heed NO_COLOR."""
        more = [AsciiFilter()] if glyphs.is_ascii() else []
        return [*super().get_line_filters(), *more]

    def on_mount(self) -> None:
        default = themes.default_theme(self.ansi_environment)
        preferred = kept.preferences().theme
        # Where only sixteen colours are drawn, the one that was made for them stays.
        chosen = default == themes.DEFAULT and preferred in self.available_themes
        self.theme = preferred if chosen else default
        self._first_theme = self.theme
        self.theme_changed_signal.subscribe(self, self._remember_theme)
        for note in self._notes:
            self.notify(note, severity="warning", timeout=10, markup=False)
        if self.settings.profile is not None:
            self.open(self.settings.profile)
        else:
            self.show_welcome()
        # The first paint waits for none of this, and the way from step to step not either.
        self.set_timer(0.2, lambda: self.run_worker(_load, thread=True))

    def _remember_theme(self, theme: Theme) -> None:
        # The first one is nobody's choice, and may be told of late.
        if theme.name != self._first_theme:
            self._first_theme = ""
            kept.prefer(theme=theme.name)

    @property
    def ansi_environment(self) -> dict[str, str]:
        import os

        return dict(os.environ)

    def show_welcome(self) -> None:
        from k3s_tui.tui.screens.welcome import WelcomeScreen

        self._show(WelcomeScreen())

    def work_on(self, draft: Draft) -> None:
        """Take up a profile."""
        self._draft = draft
        self.plan, self.found, self.allow_restart = None, {}, False
        self._secrets = Resolver(
            draft.path, self.ask, passphrase_file=self.settings.passphrase_file
        )
        make = self.settings.backend or Engine
        self._backend = make(draft, self._secrets, self.ask)
        self.visited = set()
        if draft.path.exists():
            self.visited = {step.id for step in STEPS}

    def open(self, path: Path, step: str = STEPS[0].id) -> None:
        """Work on the profile that lies there; with what was typed and never saved, if one likes.

        Raises ProfileInvalid when it cannot be read.
        """
        draft = Draft.open(path)
        unsaved = kept.unsaved(path)
        if unsaved is None:
            self._begin(draft, step)
            return

        def answered(take: bool | None) -> None:
            assert unsaved is not None
            self._begin(unsaved.draft() if take else draft, step)

        question = _("Changes of {path} were never saved.").format(path=path.name)
        if unsaved.outdated:
            question += " " + _("The file has changed since; they would replace what it says now.")
        self.push_screen(
            ConfirmDialog(question, yes=N_("Take them up"), no=N_("Leave them out")), answered
        )

    def resume(self, unsaved: kept.Unsaved) -> None:
        """Go on with a profile that has no file yet."""
        self._begin(unsaved.draft())

    def _begin(self, draft: Draft, step: str = STEPS[0].id) -> None:
        self.work_on(draft)
        self.go(step)

    def keep_draft(self) -> None:
        """Write down what was typed and is not saved."""
        if self._draft is not None and not self.settings.backend:
            with suppress(OSError):
                kept.keep(self._draft)

    def new_draft(self, path: Path) -> None:
        self.work_on(Draft.new(path, getpass.getuser()))

    def go(self, step: str, place: Place = ()) -> None:
        """Show a step, made anew from the draft; the field of `place` gets the focus."""
        screen = STEPS[number(step)].screen()
        screen.first = place
        self._show(screen)

    def go_on(self, step: WizardStep) -> None:
        self.go(STEPS[number(step.id) + 1].id)

    def go_back(self, step: WizardStep) -> None:
        before = number(step.id) - 1
        if before < 0:
            self.show_welcome()
        else:
            self.go(STEPS[before].id)

    def _show(self, screen: Screen[None]) -> None:
        """Drawn once, when all of its widgets are there, instead of after each few of them."""
        self.keep_draft()
        # Textual sets the breakpoint's class at the first resize, and styles everything again.
        screen.add_class("-wide" if self.size.width >= WIDE else "-narrow", update=False)
        batch = ExitStack()
        # Keys may come faster than screens: then each is seen as far as it comes.
        if self._sweep is None:
            batch.enter_context(self.batch_update())
        has_one = len(self.screen_stack) > 1
        shown = self.switch_screen(screen) if has_one else self.push_screen(screen)

        async def draw() -> None:
            with batch:
                await shown
            if self._sweep is not None:
                self._sweep.stop()
            self._sweep = self.set_timer(garbage.REST, self._rest)

        self.call_next(draw)

    def _rest(self) -> None:
        """The screen is there, and being read."""
        self._sweep = None
        garbage.sweep()

    def update_styles(self, node: DOMNode, animate: bool = True) -> None:
        """Not those of a widget that is still being made: mounting styles it."""
        if node is self or node.parent is not None:
            super().update_styles(node, animate)

    def mark(self, step: WizardStep) -> str:
        """How a visited step stands, before its title; a blank for one that was not."""
        if step.id not in self.visited or not self.has_draft or not step.places:
            return " "
        wrong = any(p.severity == "error" for p in problems_of(step, self.draft.problems()))
        if not wrong and step.id == "certificates" and needs_review(self.draft):
            return glyphs.glyph("warning")
        return glyphs.glyph("problem" if wrong else "ok")

    def start_run(self, profile: Profile, reviewed: Plan) -> None:
        """Carry out what was reviewed, and watch it."""
        self.follow(self.backend.start(profile, reviewed, allow_restart=self.allow_restart))

    def follow(self, run: Watched) -> None:
        """Show a run that has been started."""
        self.run_controller = run
        garbage.sweep()
        garbage.keep()
        self.show_run()

    def show_run(self) -> None:
        from k3s_tui.tui.screens.run import RunScreen

        assert self.run_controller is not None
        self._show(RunScreen(self.run_controller))

    def show_finish(self) -> None:
        from k3s_tui.tui.screens.finish import FinishScreen

        assert self.run_controller is not None
        self._show(FinishScreen(self.run_controller))

    @property
    def current_step(self) -> str:
        """The step on the screen; '' when it is something else."""
        from k3s_tui.tui.screens.step import StepScreen

        return self.screen.step.id if isinstance(self.screen, StepScreen) else ""

    @property
    def _in_wizard(self) -> bool:
        return self.has_draft and not (self.run_controller and self.run_controller.running)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return {"step": self._in_wizard, "save": self.has_draft}.get(action, True)

    def action_step(self, step: str) -> None:
        if step in self.visited and len(self.screen_stack) == 2:
            self.go(step)
        else:
            self.bell()

    def action_save(self) -> None:
        """Write the profile, if there is nothing wrong with it."""
        try:
            self.draft.save()
        except OperatorError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.keep_draft()
            told = _("saved {path}").format(path=self.draft.path)
            if self.backend.note:
                told = _("saved for this demo only: its folder is deleted when it ends")
            self.notify(told, markup=False)

    def notify(self, message: str, *, title: str = "", markup: bool = False, **how: Any) -> None:
        """Never markup, whatever is asked for, nor a character that the terminal would obey."""
        text, title = sanitize_block(message), sanitize_block(title)
        super().notify(text, title=title, markup=False, **how)

    async def action_quit(self) -> None:
        """During a run, this is a question."""
        if self.run_controller is not None and self.run_controller.running:
            from k3s_tui.tui.dialogs.cancel import ask_to_stop

            ask_to_stop(self, self.run_controller)
            return
        self.keep_draft()
        self.exit(self.exit_code)

    def leave(self) -> None:
        """End without waiting for a run that does not end: a host hangs."""
        self.abandoned = True
        self.exit(Exit.INTERRUPTED)

    @property
    def exit_code(self) -> int:
        controller = self.run_controller
        if controller is None or controller.progress.done is None:
            return Exit.OK
        return controller.progress.done.exit

    @property
    def crash(self) -> BaseException | None:
        """The bug that ended the screen, if one did."""
        error = self._exception
        return error.error if isinstance(error, WorkerFailed) else error

    def _handle_exception(self, error: Exception) -> None:
        """Textual would print the values of variables, some of them secrets: the launcher tells."""
        if self._exit and isinstance(error, NoMatches):
            return  # a screen was on its way when the end came, and has not all of its widgets
        self._return_code = Exit.BUG
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: everything that has a key, and what needs none."""
        if isinstance(screen, Page):
            yield from screen.commands()
        if self.run_controller is not None:
            yield SystemCommand(_("Go to the run"), "", self.show_run)
        if self._in_wizard:
            yield SystemCommand(_("Save the profile"), "", self.action_save)
            for step in STEPS:
                if step.id in self.visited:
                    yield SystemCommand(
                        _("Go to: {step}").format(step=_(step.title)),
                        "",
                        lambda id=step.id: self.action_step(id),
                    )
        for code, name in language.LANGUAGES.items():
            called = plain(code if glyphs.is_ascii() and not name.isascii() else name)
            yield SystemCommand(
                f"{_('Language')}: {called}",
                "",
                lambda code=code: self.call_later(self.speak, code),
            )
        yield SystemCommand(
            _("Theme"), _("Choose among the themes there are"), self.action_change_theme
        )
        yield SystemCommand(_("Quit"), "", self.action_quit)

    async def speak(self, code: str) -> None:
        """Another language, at once, if the terminal can show it."""
        from k3s_tui.tui.screens.step import StepScreen
        from k3s_tui.tui.screens.welcome import WelcomeScreen

        if code != "en" and (note := language.obstacle(os.environ, ascii=glyphs.is_ascii())):
            self.notify(note, severity="warning", markup=False)
            return
        language.use(code)
        kept.prefer(language=code)
        if isinstance(self.screen, StepScreen):
            self._show(self.screen.anew())
        elif isinstance(self.screen, WelcomeScreen):
            self.show_welcome()
        else:
            await self.screen.recompose()
            self.screen.refresh_bindings()
