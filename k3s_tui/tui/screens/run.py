"""The run, watched: what each step does, what each host says."""

from __future__ import annotations

import os
import time

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Static, Tree
from textual.widgets.tree import TreeNode

from k3s_tui.tui import glyphs
from k3s_tui.tui.controller import Watched
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.progress import Progress, StepView
from k3s_tui.tui.screens.base import Page
from k3s_tui.tui.text import cell, plain
from k3s_tui.tui.widgets.log_pane import LogPane
from k3s_tui.tui.widgets.step_bar import TitleBar


def refresh_interval() -> float:
    """Seconds between two drawings: a slow line gets fewer of them."""
    return 0.2 if "SSH_CONNECTION" in os.environ else 0.1


class RunScreen(Page):
    """Reads the run's state some times a second; the run does not know of it."""

    BINDINGS = [
        Binding("x", "cancel", N_("Stop …")),
        Binding("z", "zoom", N_("Zoom")),
    ]
    HELP = N_(
        "The run goes on whether you watch or not. To leave it running when you close this "
        "terminal, start k3s-tui in tmux."
    )

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self._watched = watched
        self._chapters: dict[str, TreeNode[str]] = {}
        self._step_nodes: dict[str, TreeNode[str]] = {}

    @property
    def progress(self) -> Progress:
        return self._watched.progress

    def compose(self) -> ComposeResult:
        yield TitleBar()
        yield Static(id="state")
        with Horizontal(id="panes"):
            yield Tree("", id="steps")
            with Vertical(id="right"):
                yield LogPane(self._watched.log)
                yield DataTable(id="hosts", show_cursor=False)
        yield Static(id="now")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        tree = self.query_one("#steps", Tree)
        tree.show_root = False
        tree.guide_depth = 2
        table = self.query_one("#hosts", DataTable)
        for key, label in (
            ("host", N_("Host")),
            ("done", N_("Done")),
            ("doing", N_("Doing")),
        ):
            table.add_column(cell(_(label)), key=key)
        self.progress.touched.update(self.progress.steps)
        self._draw()
        self.set_interval(refresh_interval(), self._draw)
        tree.focus()

    def _draw(self) -> None:
        progress = self.progress
        touched, progress.touched = progress.touched, set()
        for id in progress.steps if touched else ():
            if id in touched:
                self._draw_step(progress.steps[id])
        self._draw_hosts()
        self._draw_state()
        self.query_one(LogPane).flush()
        if progress.done is not None and not self._watched.running:
            self.wizard.show_finish()

    def _draw_step(self, step: StepView) -> None:
        tree = self.query_one("#steps", Tree)
        label = _label(step)
        if step.id in self._step_nodes:
            self._step_nodes[step.id].set_label(label)
            return
        if step.chapter not in self._chapters:
            self._chapters[step.chapter] = tree.root.add(cell(step.chapter), expand=True)
        self._step_nodes[step.id] = self._chapters[step.chapter].add_leaf(label, data=step.id)

    def _draw_hosts(self) -> None:
        table = self.query_one("#hosts", DataTable)
        now = time.time()
        for host in self.progress.hosts.values():
            doing = [_doing(step, now) for step in self.progress.active if step.host == host.name]
            row = {
                "host": cell(host.name),
                "done": cell(f"{host.done}/{host.steps}"),
                "doing": cell("; ".join(doing) or host.connection),
            }
            if host.name not in table.rows:
                table.add_row(*row.values(), key=host.name)
            else:
                for column, value in row.items():
                    if table.get_cell(host.name, column) != value:
                        table.update_cell(host.name, column, value, update_width=True)

    def _draw_state(self) -> None:
        progress = self.progress
        took = _clock((progress.done.t if progress.done else time.time()) - progress.began)
        text = _("{ended} of {steps} steps, {failed} failed, {took}").format(
            ended=progress.ended,
            steps=len(progress.steps),
            failed=len(progress.failures),
            took=took,
        )
        self.query_one("#state", Static).update(plain(text))

    def action_cancel(self) -> None:
        from k3s_tui.tui.dialogs.cancel import CancelDialog

        def answered(how: str | None) -> None:
            if how in ("gently", "now"):
                self._watched.stop()
            if how == "now":
                self._watched.stop()

        self.app.push_screen(CancelDialog(), answered)

    def action_zoom(self) -> None:
        self.query_one("#panes").toggle_class("-zoomed")


def _label(step: StepView) -> Text:
    took = f"  {step.seconds:.0f} s" if step.seconds >= 1 else ""
    return cell(f"{glyphs.glyph(step.state)} {step.what}  {step.host}{took}")


def _doing(step: StepView, now: float) -> str:
    text = f"{step.id.partition('/')[2]} {_clock(now - step.began)}"
    if step.waits:
        text += f": {step.waits}"
    return text


def _clock(seconds: float) -> str:
    return f"{int(max(0, seconds)) // 60:02d}:{int(max(0, seconds)) % 60:02d}"
