"""The log of a run, live: bounded, searchable, and drawn only as far as it is seen.

Textual's own logs cannot filter, jump when they prune, or render every line when it comes
(knowledge: 1.2 to 1.8 thousand lines a second); this one costs per screenful, not per line.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.cache import LRUCache
from textual.containers import Vertical
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.widgets import Input, Static

from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.log_buffer import LogBuffer, LogLine

_WIDEST = 1000
"""Cells of a line that are shown; the file has all of it."""


class LogView(ScrollView, can_focus=True):
    """The lines.  `flush` takes over what has come since the last time."""

    COMPONENT_CLASSES = {"log--host", "log--error", "log--hit", "log--cursor"}
    DEFAULT_CSS = """
    LogView { height: 1fr; overflow-y: scroll; overflow-x: auto; scrollbar-size-horizontal: 1; }
    LogView > .log--host { color: $text-muted; }
    LogView > .log--error { color: $text-error; text-style: bold; }
    LogView > .log--hit { background: $warning; color: $background; }
    LogView > .log--cursor { text-style: reverse; }
    """
    ALLOW_SELECT = True

    BINDINGS = [
        Binding("f,end", "follow", N_("Follow"), key_display="f"),
        Binding("slash", "find", N_("Search"), key_display="/"),
        Binding("n", "hit(1)", N_("Next hit"), show=False),
        Binding("N", "hit(-1)", N_("Previous hit"), show=False),
        Binding("e", "error", N_("Next error")),
        Binding("E", "errors", N_("Errors only"), show=False),
        Binding("0", "host(0)", N_("All hosts"), show=False),
        *(Binding(str(n), f"host({n})", N_("One host"), show=False) for n in range(1, 10)),
        Binding("up,k", "move(-1)", N_("Up"), show=False),
        Binding("down,j", "move(1)", N_("Down"), show=False),
        Binding("y", "copy", N_("Copy line"), show=False),
        Binding("Y", "copy_errors", N_("Copy errors"), show=False),
    ]

    def __init__(self, buffer: LogBuffer) -> None:
        super().__init__()
        self._buffer = buffer
        self._lines: list[LogLine] = []
        self._seen = 0
        self._pruned = 0
        self._widest = 0
        self._strips: LRUCache[tuple[int, int, bool], Strip] = LRUCache(500)
        self.following = True
        self.cursor = 0
        """The line that keys act on, when nobody follows."""
        self.only_host = ""
        self.only_errors = False
        self.needle = ""

    def flush(self) -> None:
        """Take over new lines; a reader who has scrolled up keeps their place."""
        buffer = self._buffer
        if buffer.pruned != self._pruned:
            self._pruned = buffer.pruned
            self._forget()
        if buffer.total == self._seen:
            return
        new = [line for line in buffer.since(self._seen) if self._wanted(line)]
        self._seen = buffer.total
        if new:
            self._lines += new
            self._resize(new)

    def _forget(self) -> None:
        """Leave out what the buffer keeps no longer, without moving what is looked at."""
        before, at = self._lines, round(self.scroll_y)
        self._lines = [line for line in before if not self._buffer.outdated(line)]
        gone = sum(self._buffer.outdated(line) for line in before[:at])
        self.cursor = max(0, self.cursor - (len(before) - len(self._lines)))
        self._strips.clear()
        self.virtual_size = Size(self._widest, len(self._lines))
        if gone and not self.following:
            self.scroll_to(y=at - gone, animate=False, immediate=True, force=True)

    def _resize(self, new: list[LogLine]) -> None:
        self._widest = max(self._widest, *map(self._width, new))
        self.virtual_size = Size(self._widest, len(self._lines))
        if self.following:
            self.cursor = len(self._lines) - 1
            self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)

    def _wanted(self, line: LogLine) -> bool:
        return (not self.only_host or line.host == self.only_host) and (
            line.is_error or not self.only_errors
        )

    def show(self, host: str, errors: bool) -> None:
        """Show one host (all with ''), or only what looks like an error."""
        self.only_host, self.only_errors = host, errors
        kept = (line for line in self._buffer.lines if not self._buffer.outdated(line))
        self._lines = [line for line in kept if self._wanted(line)]
        self._seen, self._widest = self._buffer.total, 0
        self._strips.clear()
        self.cursor = max(0, len(self._lines) - 1)
        self.virtual_size = Size(0, len(self._lines))
        if self._lines:
            self._resize(self._lines)
        self.refresh()

    def search(self, needle: str) -> None:
        """Mark what holds this text, and go to the last such line."""
        self.needle = needle.casefold()
        self._strips.clear()
        self.refresh()
        if self.needle:
            self.cursor = len(self._lines)
            self.action_hit(-1)

    @property
    def hits(self) -> int:
        return sum(self._is_hit(line) for line in self._lines) if self.needle else 0

    @property
    def shown(self) -> int:
        return len(self._lines)

    def _is_hit(self, line: LogLine) -> bool:
        return bool(self.needle) and self.needle in line.text.casefold()

    def _go(self, index: int) -> None:
        """To a line, which is in the middle if it was out of sight."""
        if not self._lines:
            return
        self.cursor = max(0, min(index, len(self._lines) - 1))
        self.following = False
        top, height = round(self.scroll_y), self.scrollable_content_region.height
        if not top <= self.cursor < top + height:
            self.scroll_to(y=self.cursor - height // 2, animate=False, immediate=True, force=True)
        self.refresh()

    def action_move(self, step: int) -> None:
        self._go(self.cursor + step)

    def action_follow(self) -> None:
        self.following = True
        self.cursor = max(0, len(self._lines) - 1)
        self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)
        self.refresh()

    def action_hit(self, step: int) -> None:
        at = self.cursor + step
        while 0 <= at < len(self._lines):
            if self._is_hit(self._lines[at]):
                self._go(at)
                return
            at += step
        self.app.bell()

    def action_error(self) -> None:
        order = [*range(self.cursor + 1, len(self._lines)), *range(self.cursor + 1)]
        if self.following:
            order = [*range(len(self._lines))]
        for at in order:
            if at < len(self._lines) and self._lines[at].is_error:
                self._go(at)
                return
        self.app.bell()

    def action_errors(self) -> None:
        self.show(self.only_host, not self.only_errors)

    def action_host(self, number: int) -> None:
        hosts = self._buffer.hosts
        if number <= len(hosts):
            self.show(hosts[number - 1] if number else "", self.only_errors)

    def action_copy(self) -> None:
        if 0 <= self.cursor < len(self._lines):
            self._copy([self._lines[self.cursor]])

    def action_copy_errors(self) -> None:
        self._copy([line for line in self._lines if line.is_error])

    def _copy(self, lines: list[LogLine]) -> None:
        if lines:
            self.app.copy_to_clipboard("\n".join(f"{line.host}: {line.text}" for line in lines))
            self.notify(_("copied"), markup=False)

    def action_find(self) -> None:
        if isinstance(self.parent, LogPane):
            self.parent.open_search()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.is_vertical_scroll_end:
            self.following = True
        elif new_value < old_value:
            self.following = False

    def on_resize(self) -> None:
        if self.following:
            self.call_after_refresh(self.action_follow)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        text = "\n".join(self._prefix(line) + line.text for line in self._lines)
        return selection.extract(text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self._strips.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        width = self.scrollable_content_region.width
        at = top + y
        if at >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        strip = self._strip(at).crop_extend(left, left + width, self.rich_style)
        return strip.apply_offsets(left, at)

    def _strip(self, at: int) -> Strip:
        line = self._lines[at]
        on_cursor = at == self.cursor and not self.following and self.has_focus
        key = (line.number, at if self.text_selection else -1, on_cursor)
        if key in self._strips:
            return self._strips[key]
        text = Text(no_wrap=True, end="")
        text.append(self._prefix(line), self._style("log--host"))
        text.append(line.text[:_WIDEST], self._style("log--error") if line.is_error else "")
        if self.needle:
            self._mark_hits(text, line)
        if on_cursor:
            text.stylize(self._style("log--cursor"))
        if self.text_selection is not None:
            span = self.text_selection.get_span(at)
            if span is not None:
                end = len(text) if span[1] == -1 else span[1]
                text.stylize(
                    self.screen.get_component_rich_style("screen--selection"), span[0], end
                )
        style = self.rich_style
        segments = [
            Segment(one.text, style + (one.style or Style.null()))
            for one in text.render(self.app.console)
        ]
        strip = Strip(segments).adjust_cell_length(max(self._widest, self.size.width), style)
        self._strips[key] = strip
        return strip

    def _mark_hits(self, text: Text, line: LogLine) -> None:
        shown, start = line.text[:_WIDEST].casefold(), len(self._prefix(line))
        at = shown.find(self.needle)
        while at >= 0:
            text.stylize(self._style("log--hit"), start + at, start + at + len(self.needle))
            at = shown.find(self.needle, at + len(self.needle))

    def _prefix(self, line: LogLine) -> str:
        mark = glyphs.glyph("warning") if line.is_error else " "
        return f"{set_cell_size(line.host, 12)}{mark}{glyphs.separator()} "

    def _width(self, line: LogLine) -> int:
        return cell_len(self._prefix(line)) + min(_WIDEST, cell_len(line.text[:_WIDEST]))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)


class LogPane(Vertical):
    """The lines below a line that says what one sees of them, and above what is searched for."""

    DEFAULT_CSS = """
    LogPane { height: 1fr; }
    LogPane > #log-status { height: 1; background: $panel; color: $foreground; padding: 0 1; }
    LogPane > #log-search { display: none; }
    LogPane.-searching > #log-search { display: block; }
    """

    def __init__(self, buffer: LogBuffer) -> None:
        super().__init__()
        self.buffer = buffer
        self._told = ""

    def compose(self) -> ComposeResult:
        yield Static(id="log-status")
        yield LogView(self.buffer)
        yield Input(id="log-search", compact=True, placeholder=_("search, Enter to go there"))

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def flush(self) -> None:
        """To be called some times a second; never for each line."""
        self.view.flush()
        if self.status != self._told:
            self._told = self.status
            self.query_one("#log-status", Static).update(plain(self._told))

    @property
    def status(self) -> str:
        """Whose lines, whether it follows, and how many are in the file alone."""
        view = self.view
        parts = [view.only_host or _("all hosts")]
        if view.only_errors:
            parts.append(_("errors only"))
        if view.needle:
            parts.append(_("{n} hits").format(n=view.hits))
        if view.following:
            parts.append(_("following"))
        else:
            parts.append(_("line {n} of {all}").format(n=view.cursor + 1, all=view.shown))
        hidden = self.buffer.total - self.buffer.kept
        if hidden:
            parts.append(_("{n} older ones are in the file").format(n=hidden))
        return f"{_('Log')}: {', '.join(parts)}"

    def open_search(self) -> None:
        self.add_class("-searching")
        self.query_one("#log-search", Input).focus()

    @on(Input.Submitted, "#log-search")
    def _search(self, event: Input.Submitted) -> None:
        event.stop()
        self.remove_class("-searching")
        self.view.focus()
        self.view.search(event.value)
