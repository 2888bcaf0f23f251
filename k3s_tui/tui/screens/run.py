"""The run, watched: what each step does, what each host says."""

from __future__ import annotations

import os
from collections.abc import Iterable

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static, Tree

from k3s_tui.core.errors import Exit, OperatorError
from k3s_tui.tui import glyphs
from k3s_tui.tui.controller import Stage, Watched
from k3s_tui.tui.dialogs.cancel import ask_to_stop
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.progress import Phase, Progress, StepView
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.text import plain, short
from k3s_tui.tui.widgets.host_progress import HostProgress
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.log_pane import LogPane, LogView
from k3s_tui.tui.widgets.step_bar import TitleBar
from k3s_tui.tui.widgets.step_tree import Data, StepTree, clock

PHASES: dict[Phase, str] = {
    "connecting": N_("looking at the hosts"),
    "planned": N_("about to begin"),
    "running": N_("running"),
    "verifying": N_("verifying"),
    "ended": N_("ended"),
}
STOPPING: dict[Stage, str] = {
    "gently": N_("stopping: steps under way end first"),
    "now": N_("stopping: what is under way is being ended"),
}
ENDINGS: dict[int, str] = {
    Exit.OK: N_("done"),
    Exit.INTERRUPTED: N_("interrupted"),
    Exit.VERIFICATION: N_("verification failed"),
    Exit.BUG: N_("a bug in k3s-tui"),
}
PANES = ("steps", "log", "hosts")
_JOURNAL_EVERY = 30.0
"""Seconds after which the journal of a host that stays silent is read again."""


def refresh_interval() -> float:
    """Seconds between two drawings: a slow line gets fewer of them."""
    return 0.2 if "SSH_CONNECTION" in os.environ else 0.1


class RunScreen(Page):
    """Reads the run's state some times a second; the run does not know of it."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    BINDINGS = [
        Binding("x", "cancel", N_("Stop …")),
        Binding("z", "zoom", N_("Zoom")),
        Binding("f", "follow", N_("Follow")),
        Binding("slash", "log('find')", N_("Search"), key_display="/"),
        Binding("e", "log('error')", N_("Next error")),
        Binding("n", "log('hit', 1)", N_("Next hit"), show=False),
        Binding("N", "log('hit', -1)", N_("Previous hit"), show=False),
        Binding("E", "log('errors')", N_("Errors only"), show=False),
        Binding("y", "log('copy')", N_("Copy line"), show=False),
        Binding("Y", "log('copy_errors')", N_("Copy errors"), show=False),
        Binding("0", "log('host', 0)", N_("All hosts"), show=False),
        *(Binding(str(n), f"log('host', {n})", N_("One host"), show=False) for n in range(1, 10)),
        Binding("left_square_bracket", "log('neighbour', -1)", N_("Previous host"), show=False),
        Binding("right_square_bracket", "log('neighbour', 1)", N_("Next host"), show=False),
        Binding("s", "pane('steps')", N_("Steps"), show=False),
        Binding("l", "pane('log')", N_("Log"), show=False),
        Binding("h", "pane('hosts')", N_("Hosts"), show=False),
        Binding("escape", "leave", N_("Result"), key_display="Esc"),
    ]
    HELP = N_(
        "The run goes on whether you watch or not. To leave it running when you close this "
        "terminal, start k3s-tui in tmux. s, l and h go to steps, log and hosts, z shows one of "
        "them alone. 1 to 9 show the log of one host, [ and ] that of the one before and after, "
        "and 0 that of all."
    )

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self._watched = watched
        self._stays = not watched.running
        """Whether somebody came back to a run that was over."""
        self._zoomed = ""
        self._for_room = False
        """Whether a pane is shown alone only because there is no room beside the others."""
        self._journal_host = ""
        self._journal_asked = 0.0
        self._between = False
        """While it is composed anew there is nothing to draw on."""
        self._told: dict[str, str] = {}
        """What stands where."""

    @property
    def progress(self) -> Progress:
        return self._watched.progress

    @property
    def step_tree(self) -> StepTree:
        return self.query_one(StepTree)

    def compose(self) -> ComposeResult:
        yield TitleBar()
        yield Static(id="state")
        with Horizontal(id="panes"):
            yield StepTree(id="steps")
            with Vertical(id="right"):
                yield LogPane(self._watched.log)
                yield HostProgress(id="hosts")
        with Vertical(id="silence"):
            yield Static(id="silent")
            yield Static(id="journal-of")
            with VerticalScroll(id="journal", can_focus=False):
                yield Static(id="said")
        yield KeyBar()

    def on_mount(self) -> None:
        self._begin()
        self.set_interval(refresh_interval(), self._draw)

    async def recompose(self) -> None:
        """In another language, all is drawn anew."""
        self._between, self._journal_host = True, ""
        try:
            await super().recompose()
        finally:
            self._between = False
        self._begin()

    def _begin(self) -> None:
        self.progress.touched.update(self.progress.steps)
        self._journal_host = ""
        self._told.clear()
        self._draw()
        self._arrange()
        self.step_tree.focus()

    def _draw(self) -> None:
        if self._between:
            return
        progress = self.progress
        now = progress.done.t if progress.done else self.wizard.settings.clock()
        touched, progress.touched = progress.touched, set()
        self.step_tree.show(progress, touched, now)
        self.query_one(HostProgress).show(progress, self._watched.log.hosts, now)
        self._draw_state(now)
        self._draw_silence(now)
        self.query_one(LogPane).flush()
        over = progress.done is not None and not self._watched.running
        if over and not self._stays and self.is_active:
            self._stays = True
            self.wizard.show_finish()

    def _draw_state(self, now: float) -> None:
        progress = self.progress
        failed = len(progress.failures)
        parts = [
            self.state,
            clock(now - progress.began) if progress.began else "",
            _("step {ended}/{steps}").format(ended=progress.ended, steps=len(progress.steps)),
            ngettext("{n} failed", "{n} failed", failed).format(n=failed),
        ]
        if self._watched.path is not None:
            parts.append(f"{_('log')} {short(self._watched.path)}")
        self._say("#state", "  ".join(part for part in parts if part))
        self.query_one("#state").set_class(bool(failed), "-error")

    def _say(self, where: str, text: str) -> None:
        """Only what is new is drawn."""
        if self._told.get(where) != text:
            self._told[where] = text
            self.query_one(where, Static).update(plain(text))

    @property
    def state(self) -> str:
        """Sign and word for the whole run."""
        done = self.progress.done
        if done is not None:
            word = ENDINGS.get(done.exit, N_("failed"))
            sign = "ok" if done.exit == Exit.OK else "failed"
            sign = "cancelled" if done.exit == Exit.INTERRUPTED else sign
            return f"{glyphs.glyph(sign)} {_(word)}"
        if self._watched.stopping:
            return f"{glyphs.glyph('warning')} {_(STOPPING[self._watched.stopping])}"
        return f"{glyphs.glyph('running')} {_(PHASES[self.progress.phase])}"

    def _draw_silence(self, now: float) -> None:
        """What a step waits for that has said nothing for long, and its host's journal."""
        silent = self.progress.silent(now) if self.progress.done is None else []
        self.set_class(bool(silent), "-silent")
        if not silent:
            self._journal_host = ""
            return
        self._say("#silent", _about(silent, now))
        first = silent[0]
        host = first.about if first.about in self.progress.hosts else first.host
        if host != self._journal_host or now - self._journal_asked >= _JOURNAL_EVERY:
            if host != self._journal_host:
                self._say("#journal-of", "")
                self._say("#said", "")
            self._journal_host, self._journal_asked = host, now
            self.run_worker(
                self._read_journal(host), group="journal", exclusive=True, exit_on_error=False
            )

    async def _read_journal(self, host: str) -> None:
        try:
            text = await self._watched.journal(host)
        except OperatorError as error:
            text = str(error)
        if text and host == self._journal_host:
            heading = _("journal of {host}:").format(host=host)
            self._say("#journal-of", heading)
            self._say("#said", text)
            self.query_one("#journal").scroll_end(animate=False)

    def action_follow(self) -> None:
        """What is under way, and the newest lines."""
        self.step_tree.follow(self.progress)
        self.query_one(LogView).action_follow()

    def action_log(self, what: str, *arguments: int) -> None:
        """A key of the log, wherever the focus is."""
        view = self.query_one(LogView)
        if what in ("find", "error", "hit"):
            self.action_pane("log")
        getattr(view, f"action_{what}")(*arguments)

    def action_pane(self, name: str) -> None:
        """Go to a pane; where there is no room for it beside others, it is shown alone."""
        no_room = name == "hosts" and self.has_class("-short")
        if no_room or (self._zoomed and not self._for_room):
            self._for_room = no_room and not self._zoomed
            self._zoomed = name
        elif self._for_room:
            self._zoomed, self._for_room = "", False
        self._arrange()
        self._pane(name).focus()

    def action_zoom(self) -> None:
        focused = next((n for n in PANES if self._pane(n).has_focus_within), "log")
        self._zoomed, self._for_room = "" if self._zoomed else focused, False
        self._arrange()
        self._pane(focused).focus()

    def _pane(self, name: str) -> Widget:
        if name == "log":
            return self.query_one(LogView)
        return self.step_tree if name == "steps" else self.query_one(HostProgress)

    def _arrange(self) -> None:
        for name in PANES:
            self.set_class(self._zoomed == name, f"-zoom-{name}")

    def action_cancel(self) -> None:
        ask_to_stop(self.wizard, self._watched)

    def action_leave(self) -> None:
        """Back from a zoomed pane; from a run that is over, to its result."""
        if self._zoomed:
            self._zoomed, self._for_room = "", False
            self._arrange()
        elif not self._watched.running:
            self.wizard.show_finish()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "cancel":
            return self._watched.running
        if action == "leave":
            return bool(self._zoomed) or not self._watched.running
        return True

    @on(Tree.NodeSelected)
    def _tell_step(self, event: Tree.NodeSelected[Data]) -> None:
        if isinstance(event.node.data, StepView):
            from k3s_tui.tui.dialogs.step import StepDialog

            self.app.push_screen(StepDialog(event.node.data))
        else:
            event.node.toggle()

    def commands(self) -> Iterable[SystemCommand]:
        if self._watched.running:
            yield SystemCommand(_("Stop …"), "", self.action_cancel)
        else:
            yield SystemCommand(_("Result"), "", self.wizard.show_finish)
        yield SystemCommand(_("Follow"), "", self.action_follow)
        yield SystemCommand(_("Zoom"), "", self.action_zoom)
        for text, what in (
            (N_("Search"), "find"),
            (N_("Next error"), "error"),
            (N_("Errors only"), "errors"),
            (N_("Copy line"), "copy"),
            (N_("Copy errors"), "copy_errors"),
        ):
            yield SystemCommand(_(text), "", lambda what=what: self.action_log(what))
        yield SystemCommand(_("Log of all hosts"), "", lambda: self.action_log("host", 0))
        yield SystemCommand(_("Previous host"), "[", lambda: self.action_log("neighbour", -1))
        yield SystemCommand(_("Next host"), "]", lambda: self.action_log("neighbour", 1))


def _about(silent: list[StepView], now: float) -> str:
    first = silent[0]
    text = _("{step}: no word for {age}.").format(
        step=first.id, age=clock(now - max(first.heard, first.began))
    )
    if first.waits:
        text += " " + _("It waits: {condition}").format(condition=first.waits)
    elif first.summary:
        text += " " + _("It is at: {what}").format(what=first.summary)
    if len(silent) > 1:
        others = len(silent) - 1
        text += " " + ngettext("({n} more is silent)", "({n} more are silent)", others).format(
            n=others
        )
    return f"{glyphs.glyph('warning')} {text}"
