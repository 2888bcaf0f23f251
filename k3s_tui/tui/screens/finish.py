"""How it ended: a cluster and where its things lie, or what failed and what to try."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Footer, Static

from k3s_tui.core.errors import Exit
from k3s_tui.profile.neighbours import kubeconfig_file, secrets_file
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.step_bar import TitleBar


class FinishScreen(Page):
    BINDINGS = [
        Binding("r", "again", N_("Run again")),
        Binding("b", "edit", N_("Back to the plan")),
        Binding("l", "log", N_("Steps and log")),
        Binding("y", "copy", N_("Copy command")),
    ]

    def compose(self) -> ComposeResult:
        yield TitleBar()
        with VerticalScroll(id="body"):
            for text, kind in self._told():
                yield Static(plain(text), classes=kind)
        with Horizontal(id="nav"):
            yield Button(_("Steps and log"), id="log", compact=True)
            yield Button(_("Back to the plan"), id="edit", compact=True)
            yield Button(_("Run again"), id="again", compact=True)
            yield Button(_("Quit"), id="quit", variant="primary", compact=True)
        yield Footer(compact=True)

    @property
    def command(self) -> str:
        return shlex.join(["k3s-tui", "apply", str(self.wizard.draft.path)])

    def _told(self) -> Iterator[tuple[str, str]]:
        controller = self.wizard.run_controller
        assert controller is not None and controller.progress.done is not None
        done, progress = controller.progress.done, controller.progress
        path = self.wizard.draft.path
        if done.exit == Exit.OK:
            yield _("The cluster is up, and verified."), "good heading"
        else:
            yield _("It did not end well (exit code {code}).").format(code=done.exit), "bad heading"
        yield (
            _("{ok} as wanted, {changed} changed, {failed} failed, {skipped} not done").format(
                ok=done.ok, changed=done.changed, failed=done.failed, skipped=done.skipped
            ),
            "",
        )
        for step in progress.failures:
            yield f"{step.id}: {step.error}", "bad"
            if step.tail:
                yield "\n".join(step.tail.splitlines()[-15:]), "tail"
            if step.hint:
                yield f"{_('try')}: {step.hint}", ""
        if done.error and not progress.failures:
            yield done.error, "bad"
        if done.hint:
            yield done.hint, ""
        yield f"{_('Kubeconfig')}  {kubeconfig_file(path)}", ""
        yield f"{_('Profile')}  {path}", ""
        yield f"{_('Secrets')}  {secrets_file(path)}", ""
        yield f"{_('Again')}  {self.command}", ""
        if controller.path is not None:
            yield f"{_('Log')}  {controller.path}", ""

    def on_mount(self) -> None:
        self.query_one("#quit").focus()

    @on(Button.Pressed, "#again")
    @on(Button.Pressed, "#edit")
    def action_edit(self) -> None:
        self.wizard.go("review")

    def action_again(self) -> None:
        self.wizard.go("review")

    @on(Button.Pressed, "#log")
    def action_log(self) -> None:
        self.wizard.show_run()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.command)
        self.notify(_("copied"))

    @on(Button.Pressed, "#quit")
    async def _quit(self) -> None:
        await self.wizard.action_quit()
