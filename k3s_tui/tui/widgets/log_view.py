"""The lines of a log, live: drawn only as far as they are seen.

Textual's own logs cannot filter, and either jump when they prune or render every line when it
comes; this one costs per screenful, not per line.
"""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.cache import LRUCache
from textual.events import Focus, Resize
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from k3s_tui.tui import glyphs
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.log_buffer import Excerpt, LogBuffer, LogLine, index, neighbour

_HOST_CELLS = 16
"""Longer names of hosts are cut: the filter tells them in full."""


class LogView(ScrollView, can_focus=True):
    """The lines.  `flush` takes over what has come since the last time.

    Rows of a selection are numbers of lines: it stays on its text whatever comes or is pruned.
    """

    class Changed(Message):
        """What is looked at is another part of the log, or what is looked for is."""

    class Search(Message):
        """Somebody wants to look for something."""

    COMPONENT_CLASSES = {"log--host", "log--error", "log--hit", "log--cursor"}
    DEFAULT_CSS = """
    LogView { height: 1fr; overflow-y: scroll; overflow-x: auto; scrollbar-size-horizontal: 1; }
    LogView > .log--host { color: $text-muted; }
    LogView > .log--error { color: $text-error; text-style: bold; }
    LogView > .log--hit { color: $text-warning; text-style: bold underline; }
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
        Binding("left_square_bracket", "neighbour(-1)", N_("Previous host"), show=False),
        Binding("right_square_bracket", "neighbour(1)", N_("Next host"), show=False),
        Binding("up,k", "move(-1)", N_("Up"), show=False),
        Binding("down,j", "move(1)", N_("Down"), show=False),
        Binding("home", "first", N_("First line"), show=False),
        Binding("y", "copy", N_("Copy line"), show=False),
        Binding("Y", "copy_errors", N_("Copy errors"), show=False),
    ]

    def __init__(self, buffer: LogBuffer) -> None:
        super().__init__()
        self.excerpt = Excerpt(buffer)
        self.following = True
        self.cursor = 0
        """The row that keys act on; the last one while it follows."""
        self._widest = 0
        self._host_cells = 0
        self._prefixes: dict[tuple[str, bool], str] = {}
        self._strips: LRUCache[tuple[int, bool], Strip] = LRUCache(500)
        self._base: Style | None = None
        self._steady = False
        self._is_drawn = False

    @property
    def lines(self) -> list[LogLine]:
        return self.excerpt.lines

    def flush(self) -> None:
        """Take over new lines; a reader who has scrolled up keeps their place."""
        lines = self.lines
        top, cursor = self._number(round(self.scroll_y)), self._number(self.cursor)
        new = self.excerpt.take()
        if not new and lines is self.lines:
            return
        self._measure(new)
        self.cursor = index(self.lines, cursor)
        self._arrange(index(self.lines, top))

    def show(self, host: str, errors: bool) -> None:
        """Show one host (all with ''), or only what looks like an error; stay at the cursor."""
        number = self._number(self.cursor)
        self.excerpt.show(host, only_errors=errors)
        self.cursor = self._clamped(index(self.lines, number))
        self._arrange(self.cursor - self._height // 2)
        self._place_cursor()
        self.post_message(self.Changed())

    def search(self, needle: str) -> None:
        """Mark what holds this text, and go to the nearest such line from here upwards."""
        self.excerpt.search(needle)
        self._strips.clear()
        self.refresh()
        if needle:
            self._seek(self.excerpt.hits, self._number(self.cursor) + 1, -1)
        self.post_message(self.Changed())

    def _measure(self, new: list[LogLine]) -> None:
        """Make room for lines that are shown from now on."""
        hosts = self.excerpt.buffer.hosts
        wanted = min(_HOST_CELLS, max(map(cell_len, hosts), default=0))
        if wanted != self._host_cells:
            self._host_cells = wanted
            self._redraw()
        for line in new:
            # To count cells is slow; most lines are seen at once to be no wider than others.
            if wanted + 3 + _at_most(line.text) > self._widest:
                self._widest = max(self._widest, wanted + 3 + cell_len(line.text))

    def _arrange(self, top: int) -> None:
        """After lines came or went: to the end when it follows, else with this row on top."""
        self._steady = True
        try:
            self._resize(Size(self._widest, len(self.lines)))
            if self.following:
                self.cursor = self._clamped(len(self.lines))
                top = len(self.lines)
            self.scroll_to(y=top, force=True)
        finally:
            self._steady = False
        self.refresh()

    def _resize(self, size: Size) -> None:
        if size.width != self.virtual_size.width:
            self.virtual_size = size
        elif size.height != self.virtual_size.height:
            # More lines change no layout, which costs most of a flush: there is always a bar.
            self.set_reactive(LogView.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height

    def _number(self, row: int) -> int:
        lines = self.lines
        return lines[row].number if 0 <= row < len(lines) else self.excerpt.buffer.total

    def _clamped(self, row: int) -> int:
        return max(0, min(row, len(self.lines) - 1))

    @property
    def _height(self) -> int:
        return self.scrollable_content_region.height

    def _go(self, row: int) -> None:
        """To a row, which is in the middle if it was out of sight."""
        self.following = False
        self.cursor = self._clamped(row)
        top = round(self.scroll_y)
        if not top <= self.cursor < top + self._height:
            near = -1 <= self.cursor - top <= self._height
            back = (0 if self.cursor < top else self._height - 1) if near else self._height // 2
            self._arrange(self.cursor - back)
        self._place_cursor()
        self.refresh()
        self.post_message(self.Changed())

    def _seek(self, among: list[LogLine], number: int, step: int) -> None:
        found = neighbour(among, number, step)
        if found is None:
            self.app.bell()
        else:
            self._go(index(self.lines, found.number))

    def _place_cursor(self) -> None:
        """A screen reader reads where the terminal's cursor is."""
        if self.has_focus:
            row = self.cursor - round(self.scroll_y)
            self.app.cursor_position = self.content_region.offset + Offset(0, max(0, row))

    def action_move(self, step: int) -> None:
        self._go(self.cursor + step)

    def action_first(self) -> None:
        self._go(0)

    def action_follow(self) -> None:
        self.following = True
        self._arrange(len(self.lines))
        self._place_cursor()
        self.post_message(self.Changed())

    def action_hit(self, step: int) -> None:
        self._seek(self.excerpt.hits, self._number(self.cursor), step)

    def action_error(self) -> None:
        """The next one; the newest, when nobody looks at anything yet."""
        at = self.excerpt.buffer.total if self.following else self._number(self.cursor)
        self._seek(self.excerpt.errors, at, -1 if self.following else 1)

    def action_errors(self) -> None:
        self.show(self.excerpt.host, not self.excerpt.only_errors)

    def action_host(self, number: int) -> None:
        hosts = self.excerpt.buffer.hosts
        if number <= len(hosts):
            self.show(hosts[number - 1] if number else "", self.excerpt.only_errors)
        else:
            self.app.bell()

    def action_neighbour(self, step: int) -> None:
        """The host before or after the one that is shown; all hosts stand before the first."""
        choices = ["", *self.excerpt.buffer.hosts]
        at = choices.index(self.excerpt.host)
        self.show(choices[(at + step) % len(choices)], self.excerpt.only_errors)

    def action_copy(self) -> None:
        self._copy(self.lines[self.cursor : self.cursor + 1])

    def action_copy_errors(self) -> None:
        self._copy(self.excerpt.errors)

    def _copy(self, lines: list[LogLine]) -> None:
        if lines:
            self.app.copy_to_clipboard("\n".join(f"{line.host}: {line.text}" for line in lines))
            self.notify(_("copied"), markup=False)
        else:
            self.app.bell()

    def action_find(self) -> None:
        self.post_message(self.Search())

    def scroll_to(self, x: float | None = None, y: float | None = None, **how: Any) -> None:
        """At once: lines that come meanwhile would end an animation, or move its goal."""
        super().scroll_to(x, y, **{**how, "animate": False, "immediate": True})

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._steady:
            return
        # Going down to the end follows, going up does not; a pane that grew taller is moved, too.
        if new_value > old_value or not self.is_vertical_scroll_end:
            self.following = self.is_vertical_scroll_end
        top = round(new_value)
        row = len(self.lines) if self.following else self.cursor
        self.cursor = self._clamped(max(top, min(row, top + self._height - 1)))
        self._place_cursor()
        self.post_message(self.Changed())

    def on_resize(self, event: Resize) -> None:
        if self.following:
            self._arrange(len(self.lines))
        self._place_cursor()

    def on_focus(self, event: Focus) -> None:
        self._place_cursor()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        start, end = selection
        first = index(self.lines, start.y) if start else 0
        last = index(self.lines, end.y + 1) if end else len(self.lines)
        rows = [
            self._shown(line)[slice(*_until(selection.get_span(line.number)))]
            for line in self.lines[first:last]
        ]
        return "\n".join(rows), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self._redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._redraw()

    def _redraw(self) -> None:
        self._strips.clear()
        self._prefixes.clear()
        self._base = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        width = self.scrollable_content_region.width
        row = top + y
        style = self._style()
        if row >= len(self.lines):
            return Strip.blank(width, style)
        line = self.lines[row]
        strip = self._strip(line, row == self.cursor and not self.following and self.has_focus)
        cropped = strip.crop_extend(left, left + width, style)
        if self._is_drawn:
            return cropped
        # Offsets count characters, of which some take two cells.
        hidden = len(strip.crop(0, left).text) if left else 0
        return cropped.apply_offsets(hidden, line.number)

    def render_lines(self, crop: Region) -> list[Strip]:
        """What the terminal gets.

        Without offsets, for which only the mouse asks: with them no style would ever come again,
        and Textual's caches of styles would fill up, and miss.
        """
        self._is_drawn = True
        try:
            return super().render_lines(crop)
        finally:
            self._is_drawn = False

    def _strip(self, line: LogLine, on_cursor: bool) -> Strip:
        key = (line.number, on_cursor)
        if key not in self._strips:
            self._strips[key] = self._drawn(line, on_cursor)
        return self._strips[key]

    def _drawn(self, line: LogLine, on_cursor: bool) -> Strip:
        prefix = self._prefix(line)
        text = Text(no_wrap=True, end="")
        text.append(prefix, self._style("log--host"))
        text.append(line.text, self._style("log--error") if line.is_error else "")
        for start, end in self.excerpt.spans(line.text):
            text.stylize(self._style("log--hit"), len(prefix) + start, len(prefix) + end)
        if on_cursor:
            text.stylize(self._style("log--cursor"))
        selection = self.text_selection
        span = selection.get_span(line.number) if selection else None
        if span is not None:
            style = self.screen.get_component_rich_style("screen--selection")
            text.stylize(style, *_until(span))
        base = self._style()
        return Strip(
            [
                Segment(part.text, base + part.style if part.style else base)
                for part in text.render(self.app.console)
            ]
        )

    def _shown(self, line: LogLine) -> str:
        return self._prefix(line) + line.text

    def _prefix(self, line: LogLine) -> str:
        key = (line.host, line.is_error)
        if key not in self._prefixes:
            host = set_cell_size(plain(line.host).plain, self._host_cells)
            mark = glyphs.glyph("warning") if line.is_error else " "
            self._prefixes[key] = f"{host}{mark}{glyphs.separator()} "
        return self._prefixes[key]

    def _style(self, name: str = "") -> Style:
        """Of a part of a line, to be laid over that of the widget, which has no name."""
        if name:
            # A colour that is partly see-through needs the background; to reverse needs no colour.
            return self.get_component_rich_style(name, partial=name == "log--cursor")
        if self._base is None:
            # Textual composes it from all parents each time; asked per row, that would be much.
            self._base = self.rich_style
        return self._base


def _at_most(text: str) -> int:
    """Cells that a text takes when each character beyond ASCII takes two."""
    return 2 * len(text) - len(text.encode("ascii", "ignore"))


def _until(span: tuple[int, int] | None) -> tuple[int, int | None]:
    """A span whose end -1 means the end of the line, as slices have it."""
    start, end = span or (0, 0)
    return start, None if end == -1 else end
