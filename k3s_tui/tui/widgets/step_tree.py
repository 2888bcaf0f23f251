"""The steps of a run by chapter: what is over is folded away, what goes on is open."""

from __future__ import annotations

from typing import TypeAlias

from rich.cells import set_cell_size
from rich.style import Style
from rich.text import Text
from textual.events import Click, Key, MouseScrollDown, MouseScrollUp, Resize
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.progress import ChapterView, Progress, StepView, chapter_rank
from k3s_tui.tui.text import cell

Data: TypeAlias = StepView | ChapterView

TITLES = {
    "preflight": N_("Preflight"),
    "datastore": N_("Datastore"),
    "installation": N_("Installation"),
    "servers": N_("Servers"),
    "loadbalancer": N_("Load balancer"),
    "agents": N_("Agents"),
    "kubeconfig": N_("Kubeconfig"),
    "verification": N_("Verification"),
}
"""What the chapters are called; ids of steps stay as they are in the log."""

_ALIGNED_FROM = 56
"""Columns from which hosts, times and words of all steps stand below each other."""

_MOVES = frozenset({"up", "down", "left", "right", "pageup", "pagedown", "home", "end", "space"})


def title(chapter: str) -> str:
    return _(TITLES[chapter]) if chapter in TITLES else chapter


def clock(seconds: float) -> str:
    """`03:42`; from an hour on `1:03:42`."""
    whole = int(max(0, seconds))
    hours, minutes = divmod(whole // 60, 60)
    tail = f"{minutes:02d}:{whole % 60:02d}"
    return f"{hours}:{tail}" if hours else tail


class StepTree(Tree[Data]):
    """Follows what is under way until the operator moves in it."""

    COMPONENT_CLASSES = {"step--good", "step--bad", "step--active", "step--over"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id)
        self.show_root = False
        self.guide_depth = 2
        self.auto_expand = False
        if glyphs.is_ascii():
            self.show_guides = False
            self.ICON_NODE, self.ICON_NODE_EXPANDED = "+ ", "- "
        self.following = True
        self._chapters: dict[str, TreeNode[Data]] = {}
        self._steps: dict[str, TreeNode[Data]] = {}
        self._folded: dict[str, bool] = {}
        self._second = 0
        self._at: StepView | None = None

    def show(self, progress: Progress, touched: set[str], now: float) -> None:
        """Draw these steps anew, and the clocks of those under way.  `now` is since the epoch."""
        ticks = int(now) != self._second
        self._second = int(now)
        active = {step.id for step in progress.active} if ticks else set()
        silent = {step.id for step in progress.silent(now)} if ticks or touched else set()
        for id in progress.steps:
            if id in touched or id in active:
                self._show_step(progress.steps[id], now, silent=id in silent)
        if touched:
            for chapter in progress.chapters:
                node = self._chapter(chapter)
                node.data = chapter
                node.set_label(_chapter_label(chapter))
        if self.following and (touched or ticks):
            self._follow(progress)

    def follow(self, progress: Progress) -> None:
        """Fold and open chapters again, and go to what is under way."""
        self.following = True
        self._folded.clear()
        self._at = None
        self._follow(progress)

    def _show_step(self, step: StepView, now: float, *, silent: bool) -> None:
        label = self._label(step, now, silent=silent)
        if step.id in self._steps:
            self._steps[step.id].set_label(label)
            return
        chapter = self._chapter(ChapterView(step.chapter, (step,)))
        self._steps[step.id] = chapter.add_leaf(label, data=step)

    def _chapter(self, chapter: ChapterView) -> TreeNode[Data]:
        if chapter.id not in self._chapters:
            rank = chapter_rank(chapter.id)
            later = [node for id, node in self._chapters.items() if chapter_rank(id) > rank]
            before = min(later, key=lambda node: node.line, default=None)
            self._chapters[chapter.id] = self.root.add(
                _chapter_label(chapter), data=chapter, before=before
            )
        return self._chapters[chapter.id]

    def _follow(self, progress: Progress) -> None:
        for chapter in progress.chapters:
            node = self._chapters.get(chapter.id)
            if node is None:
                continue
            if chapter.finished:
                self._fold(chapter.id, node, folded=True)
            elif chapter.active or chapter.failed:
                self._fold(chapter.id, node, folded=False)
        if self._at is None or not self._at.active:
            goals = progress.active or progress.failures
            self._at = goals[0] if goals else self._at
        if self._at is not None and self._at.id in self._steps:
            self.call_after_refresh(self._go, self._at)

    def _go(self, step: StepView) -> None:
        if not self.following:
            return
        # A step that ended may lie in a chapter that is folded by now.
        for node in (self._steps[step.id], self._chapters[step.chapter]):
            if node.line >= 0:
                self.move_cursor(node)
                return

    def _fold(self, id: str, node: TreeNode[Data], *, folded: bool) -> None:
        """Once each time it changes: what the operator did to it in between stays."""
        if self._folded.get(id) == folded:
            return
        self._folded[id] = folded
        if folded:
            node.collapse()
        else:
            node.expand()

    def _label(self, step: StepView, now: float, *, silent: bool) -> Text:
        aligned = self.size.width >= _ALIGNED_FROM
        room = min(24, self.size.width - 40)
        what = set_cell_size(step.what, room) if aligned and len(step.what) < room else step.what
        about = set_cell_size(step.about, 14) if aligned and len(step.about) < 14 else step.about
        took = clock(now - step.began) if step.active else ""
        if step.ended and step.seconds >= 1:
            took = clock(step.seconds)
        parts = [f"{glyphs.glyph(step.state)} {what}", about]
        if aligned or took:
            parts.append(took.rjust(5) if aligned else took)
        parts.append(_("silent") if silent else glyphs.word(step.state))
        if step.warning or silent:
            parts[-1] = f"{glyphs.glyph('warning')} {parts[-1]}"
        return cell("  ".join(parts))

    def render_label(self, node: TreeNode[Data], base_style: Style, style: Style) -> Text:
        text = super().render_label(node, base_style, style)
        kind = _kind(node.data)
        if kind and node is not self.cursor_node:
            # Only these two: the rest of a component's style is drawn on a background of its own.
            shown = self.get_component_rich_style(f"step--{kind}")
            text.stylize_before(Style(color=shown.color, bold=shown.bold))
        return text

    def on_key(self, event: Key) -> None:
        if event.key in _MOVES:
            self.following = False

    def on_click(self, event: Click) -> None:
        self.following = False

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self.following = False

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self.following = False

    def on_resize(self, event: Resize) -> None:
        for node in self._steps.values():
            if isinstance(node.data, StepView):
                node.set_label(self._label(node.data, self._second, silent=False))


def _kind(data: Data | None) -> str:
    """Which colour goes with what sign and word tell already."""
    if data is None:
        return ""
    if data.state in ("failed", "problem"):
        return "bad"
    if data.active:
        return "active"
    if data.state == "changed":
        return "good"
    return "over" if data.state in ("ok", "pending", "skipped", "cancelled") else ""


def _chapter_label(chapter: ChapterView) -> Text:
    text = f"{glyphs.glyph(chapter.state)} {title(chapter.id)}  {chapter.done}/{len(chapter.steps)}"
    if chapter.failed:
        failed = ngettext("{n} failed", "{n} failed", chapter.failed).format(n=chapter.failed)
        text += f"  {failed}"
    return cell(text)
