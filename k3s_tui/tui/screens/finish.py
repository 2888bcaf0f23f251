"""The end of a run: what there is to say of it, and what one may do now."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static

from k3s_tui.core.errors import Exit, OperatorError
from k3s_tui.tui.controller import Watched
from k3s_tui.tui.ending import COPIES, Ending
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.text import plain, short
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.step_bar import TitleBar

RESPONSIBLE = {
    "preflight": "hosts",
    "datastore": "datastore",
    "installation": "servers",
    "servers": "servers",
    "loadbalancer": "loadbalancer",
    "agents": "agents",
    "kubeconfig": "loadbalancer",
}
"""By chapter, the step of the wizard where one would mend what failed in it."""


class FinishScreen(Page):
    BINDINGS = [
        Binding("r", "retry", N_("Retry")),
        Binding("b", "edit", N_("Edit")),
        Binding("v", "verify", N_("Verify")),
        Binding("l", "log", N_("Steps and log")),
        Binding("w", "report", N_("Report")),
        Binding("y", "copy", N_("Copy command")),
        Binding("k", "copy_use", N_("Copy kubectl"), show=False),
        *(
            Binding(key, f"scroll('{way}')", N_("Scroll"), show=False)
            for key, way in (
                ("up", "up"),
                ("down", "down"),
                ("pageup", "page_up"),
                ("pagedown", "page_down"),
                ("home", "home"),
                ("end", "end"),
            )
        ),
    ]
    HELP = N_(
        "Retry looks at the hosts again and does what is missing. A report is one file that "
        "explains this run to others; it holds no secret, but names and addresses of hosts."
    )

    def __init__(self, run: Watched) -> None:
        """`run` has ended.  The next one may begin while this screen is still there."""
        super().__init__()
        self.run = run
        self._report: Path | OperatorError | None = None
        """Where a report was saved, or why it was not."""

    def compose(self) -> ComposeResult:
        yield TitleBar()
        with VerticalScroll(id="body"):
            for text, kind in self._ending.told():
                if kind in COPIES:
                    with Horizontal(classes="copied"):
                        yield Static(plain(text))
                        yield Button(_("Copy"), id=kind, compact=True)
                else:
                    yield Static(plain(text), classes=kind)
        yield Static(id="report-told")
        with Horizontal(id="nav"):
            if not self._ending.succeeded:
                yield Button(_("Retry"), id="retry", compact=True)
                yield Button(_("Edit"), id="edit", compact=True)
            if self._ending.can_verify:
                yield Button(_("Verify again"), id="verify", compact=True)
            yield Button(_("Log"), id="log", compact=True)
            yield Button(_("Report"), id="report", compact=True, disabled=self.run.path is None)
            yield Button(_("Quit"), id="quit", compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        # The run's end may meet the application's own: then not all of it was composed.
        if not self.query("#quit"):
            return
        self.query_one("#quit" if self._ending.succeeded else "#retry").focus()
        if self.run.error is not None:
            self.action_report()

    async def recompose(self) -> None:
        """In another language, all is drawn anew."""
        focused = self.focused.id if self.focused else None
        await super().recompose()
        self._tell_report()
        for widget in self.query(f"#{focused or 'quit'}"):
            widget.focus()

    @property
    def _ending(self) -> Ending:
        return Ending(self.run, self.wizard.draft, self.wizard.plan)

    @on(Button.Pressed, "#retry")
    def action_retry(self) -> None:
        """Look at the hosts again, and do what is missing: agreed to once already."""
        if self.wizard.plan is None:
            self.wizard.go("review")
        else:
            self.wizard.start_run(self.wizard.draft.checked.profile, self.wizard.plan)

    @on(Button.Pressed, "#edit")
    def action_edit(self) -> None:
        """To the step of the wizard that asks for what is wrong, or to the plan."""
        failures = self.run.progress.failures
        step = RESPONSIBLE.get(failures[0].chapter, "review") if failures else "review"
        if failures and "certificate" in failures[0].what and step != "review":
            step = "certificates"
        if self._ending.exit == Exit.CREDENTIALS:
            step = "hosts"
        self.wizard.go(step)

    @on(Button.Pressed, "#verify")
    def action_verify(self) -> None:
        self.wizard.follow(self.wizard.backend.verify(self.wizard.draft.checked.profile))

    @on(Button.Pressed, "#log")
    def action_log(self) -> None:
        self.wizard.show_run()

    @on(Button.Pressed, "#report")
    def action_report(self) -> None:
        try:
            self._report = self.run.save_report()
        except OperatorError as error:
            self._report = error
        self._tell_report()

    def action_scroll(self, way: str) -> None:
        """The focus stays on the buttons."""
        getattr(self.query_one("#body"), f"scroll_{way}")(animate=False)

    def _tell_report(self) -> None:
        if self._report is None:
            return
        wrong = isinstance(self._report, OperatorError)
        text = str(self._report)
        if isinstance(self._report, Path):
            contents = _(
                "It holds the events, the plan, how it ended, the profile without its comments, "
                "host keys and versions; no password, token or private key."
            )
            text = f"{_('Report')}  {short(self._report)}\n{contents}"
        told = self.query_one("#report-told", Static)
        told.update(plain(text))
        told.add_class("-told")
        told.set_class(wrong, "-error")

    @on(Button.Pressed, "#copy-command")
    def action_copy(self) -> None:
        self._copy(self._ending.command)

    @on(Button.Pressed, "#copy-use")
    def action_copy_use(self) -> None:
        self._copy(self._ending.use)

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(_("copied"), markup=False)

    @on(Button.Pressed, "#quit")
    async def _quit(self) -> None:
        await self.wizard.action_quit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("retry", "edit"):
            return not self._ending.succeeded
        if action == "verify":
            return self._ending.can_verify
        if action == "report":
            return self.run.path is not None
        if action == "copy_use":
            return self._ending.succeeded
        return True

    def commands(self) -> Iterable[SystemCommand]:
        for text, action in (
            (N_("Retry"), "retry"),
            (N_("Edit"), "edit"),
            (N_("Verify again"), "verify"),
            (N_("Steps and log"), "log"),
            (N_("Save report"), "report"),
            (N_("Copy command"), "copy"),
            (N_("Copy kubectl"), "copy_use"),
        ):
            if self.check_action(action, ()):
                yield SystemCommand(_(text), "", getattr(self, f"action_{action}"))
