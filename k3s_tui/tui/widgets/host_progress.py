"""Each host of a run in one line: how far it is, what it does, when it last said something."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from k3s_tui.core.contract import LAPTOP
from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.progress import HostView, Progress
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.step_tree import clock, title

CONNECTIONS = {
    "connecting": N_("connecting"),
    "connected": N_("connected"),
    "lost": N_("connection lost"),
    "failed": N_("no connection"),
    "closed": N_("closed"),
}


class HostProgress(VerticalScroll, can_focus=True):
    """Draws only when there is something else to say."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._told = ""

    def compose(self) -> ComposeResult:
        yield Static()

    def show(self, progress: Progress, speakers: Sequence[str], now: float) -> None:
        """`speakers` are the hosts by the digit that shows their log alone, from 1."""
        busy = {step.host for step in progress.active}
        # The laptop has little to do, and is told of when it does it.
        hosts = [h for h in progress.hosts.values() if h.name != LAPTOP.name or h.name in busy]
        name = max((cell_len(host.name) for host in hosts), default=0)
        width = 10 if self.size.width >= 70 else 5
        text = "\n".join(
            self._line(h, progress, speakers, now, min(name, 20), width) for h in hosts
        )
        if text != self._told:
            self._told = text
            self.query_one(Static).update(plain(text))

    def _line(
        self,
        host: HostView,
        progress: Progress,
        speakers: Sequence[str],
        now: float,
        name: int,
        width: int,
    ) -> str:
        digit = speakers.index(host.name) + 1 if host.name in speakers else 0
        part = host.done / host.steps if host.steps else float(bool(progress.steps))
        key = str(digit) if 0 < digit < 10 else "-"
        doing = _doing(host, progress, now)
        percent = f"{int(100 * part):3d} %"
        return f"{key} {set_cell_size(host.name, name)} {_bar(part, width)} {percent} {doing}"


def _bar(part: float, width: int) -> str:
    full, empty = ("#", ".") if glyphs.is_ascii() else ("▇", "░")
    filled = int(part * width)
    return full * filled + empty * (width - filled)


def _doing(host: HostView, progress: Progress, now: float) -> str:
    active = [step for step in progress.active if step.host == host.name]
    parts = []
    if host.failed:
        failed = ngettext("{n} failed", "{n} failed", host.failed).format(n=host.failed)
        parts.append(f"{glyphs.glyph('failed')} {failed}")
    if host.connection in ("lost", "failed"):
        parts.append(f"{glyphs.glyph('warning')} {_(CONNECTIONS[host.connection])}")
    if active:
        first, others = active[0], len(active) - 1
        more = f" +{others}" if others else ""
        waits = f", {_('waits')}" if first.waits else ""
        age = _("last word {age} ago").format(age=clock(now - host.heard))
        parts.append(f"{title(first.chapter)}: {first.what}{more}{waits}, {age}")
    elif progress.steps and host.over and (host.left or not parts):
        not_done = ngettext("{n} not done", "{n} not done", host.left).format(n=host.left)
        parts.append(not_done if host.left else _("done"))
    elif not parts:
        told = N_("waits its turn") if progress.steps else CONNECTIONS.get(host.connection, "")
        parts.append(_(told))
    return "  ".join(parts)
