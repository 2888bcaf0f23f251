"""The log pane as an operator has it: what is seen of it, and what its keys and the mouse do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from textual.app import App, ComposeResult
from textual.color import Color
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.widgets import Input

from k3s_tui.core.events import Line
from k3s_tui.tui import glyphs, themes
from k3s_tui.tui.widgets.log_buffer import LogBuffer
from k3s_tui.tui.widgets.log_pane import LogPane, LogView
from tests.unit.tui.test_log_buffer import HOSTILE

PER_HOST = 200


class Watcher(App[None]):
    """A terminal with the pane alone."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = LogBuffer(PER_HOST)

    def compose(self) -> ComposeResult:
        yield LogPane(self.buffer)


@dataclass
class Reader:
    """Feeds the pane, presses keys, reads the screen."""

    app: Watcher
    pilot: Pilot[None]

    @property
    def pane(self) -> LogPane:
        return self.app.query_one(LogPane)

    @property
    def view(self) -> LogView:
        return self.pane.view

    async def come(self, texts: Iterable[str], host: str = "a") -> None:
        """These lines come, and are flushed once."""
        for text in texts:
            self.app.buffer.add(Line(step="a/b/c", host=host, text=text))
        self.pane.flush()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def search(self, text: str) -> None:
        names = {"[": "left_square_bracket", "/": "slash", " ": "space"}
        await self.press("slash", *(names.get(c, c) for c in text), "enter")

    @property
    def rows(self) -> list[str]:
        """The lines as they are seen."""
        region = self.view.scrollable_content_region
        strips = self.app.screen._compositor.render_strips()[region.y : region.bottom]
        return [strip.crop(region.x, region.right).text.rstrip() for strip in strips]

    @property
    def row(self) -> str:
        """The line on which the terminal's cursor is."""
        return self.rows[self.app.cursor_position.y - self.view.content_region.y]

    @property
    def status(self) -> str:
        return self.app.screen._compositor.render_strips()[0].text.strip()


@asynccontextmanager
async def reader(size: tuple[int, int] = (80, 24)) -> AsyncIterator[Reader]:
    app = Watcher()
    async with app.run_test(size=size) as pilot:
        app.query_one(LogView).focus()
        await pilot.pause()
        yield Reader(app, pilot)


def numbered(first: int, last: int) -> list[str]:
    return [f"line {n}" for n in range(first, last)]


async def test_it_follows_through_pruning_until_one_scrolls_up() -> None:
    async with reader() as user:
        for at in range(0, 6000, 100):
            await user.come(numbered(at, at + 100))
            assert user.rows[-1] == f"a │ line {at + 99}"
        assert user.app.buffer.pruned
        assert user.status == "Log: all hosts, following, 5800 older ones are in the file"
        await user.press("pageup")
        before = user.rows
        await user.come(numbered(6000, 6010))
        assert user.rows == before
        assert "following" not in user.status
        await user.press("end")
        assert user.rows[-1] == "a │ line 6009"
        assert "following" in user.status
        await user.press("up", "f")
        await user.come(["the newest"])
        assert user.rows[-1] == "a │ the newest"


async def test_scrolling_to_the_end_follows_again() -> None:
    async with reader() as user:
        await user.come(numbered(0, 100))
        await user.press("pageup")
        assert not user.view.following
        await user.press("pagedown")
        assert user.view.following


async def test_scrolling_is_not_lost_to_lines_that_come_meanwhile() -> None:
    async with reader() as user:
        await user.come(numbered(0, 100))
        user.view.action_page_up()
        assert not user.view.following, "lines that come now would take it to the end"
        before = user.view.lines[round(user.view.scroll_y)]
        await user.come(numbered(100, 200))
        assert user.rows[0] == f"a │ {before.text}"


async def test_pruning_does_not_move_what_is_read() -> None:
    async with reader() as user:
        await user.come(numbered(0, 100), "quiet")
        await user.come(numbered(0, 150), "loud")
        await user.come(numbered(100, 200), "quiet")
        await user.press("pageup", "pageup", "pageup", "up", "up")
        assert not user.view.following
        before, row = user.rows, user.row
        for at in range(150, 6000, 150):
            await user.come(numbered(at, at + 150), "loud")
            assert user.rows == before
        assert user.app.buffer.pruned > 2
        assert not any("loud" in line for line in before), "what is read is not to be pruned"
        assert row in user.rows
        await user.press("y")
        assert user.app.clipboard == row.replace(" │ ", ": ")


async def test_the_status_follows_the_cursor_at_once() -> None:
    async with reader() as user:
        await user.come(numbered(0, 100))
        await user.press("up")
        assert user.status == "Log: all hosts, line 99 of 100"
        await user.press("home")
        assert user.status == "Log: all hosts, line 1 of 100"
        assert user.row == "a │ line 0"


async def test_the_terminal_cursor_is_on_the_line_that_keys_act_on() -> None:
    async with reader() as user:
        await user.come(numbered(0, 100))
        await user.press("up", "up")
        assert user.row == "a │ line 97"
        await user.press("pageup")
        assert user.row in user.rows
        await user.press("y")
        assert user.app.clipboard == user.row.replace(" │ ", ": ")


async def test_hosts_and_errors_are_filtered_and_the_filter_stays() -> None:
    async with reader() as user:
        await user.come(["one", "error: two"], "a")
        await user.come(["three", "error: four"], "b")
        await user.press("2")
        assert user.rows[:3] == ["b │ three", "b!│ error: four", ""]
        assert user.status.startswith("Log: b, ")
        await user.press("E")
        await user.come(["five", "error: six"], "b")
        await user.come(["error: seven"], "a")
        assert user.rows[:3] == ["b!│ error: four", "b!│ error: six", ""]
        assert user.status == "Log: b, errors only, following"
        await user.press("0")
        assert len([row for row in user.rows if row]) == 4
        await user.press("9")
        assert "errors only" in user.status, "there is no ninth host"


async def test_the_tenth_host_is_reached_too() -> None:
    """Digits name nine; the brackets lead from one to the next, and around."""
    names = [f"node-{n}" for n in range(1, 11)]
    async with reader() as user:
        for name in names:
            await user.come([f"here is {name}"], name)
        await user.press("9", "right_square_bracket")
        assert user.status.startswith("Log: node-10, ")
        assert [row for row in user.rows if row] == ["node-10 │ here is node-10"]
        await user.press("right_square_bracket")
        assert user.status.startswith("Log: all hosts, ")
        for name in reversed(names):
            await user.press("left_square_bracket")
            assert user.status.startswith(f"Log: {name}, ")
        await user.press("left_square_bracket")
        assert user.status.startswith("Log: all hosts, ")


async def test_a_filter_keeps_the_line_that_was_read() -> None:
    async with reader() as user:
        for n in range(0, 100, 10):
            await user.come([f"x {n + one}" for one in range(10)], "a")
            await user.come([f"y {n + one}" for one in range(10)], "b")
        await user.search("x 30")
        assert user.row == "a │ x 30"
        await user.press("1")
        assert user.row == "a │ x 30"
        await user.press("0")
        assert user.row == "a │ x 30"


async def test_search_goes_from_hit_to_hit_and_marks_them() -> None:
    async with reader() as user:
        texts = numbered(0, 100)
        for at in (10, 50, 90):
            texts[at] = f"The Needle [/ {at}"
        await user.come(texts)
        await user.search("needle [/")
        assert user.view.has_focus
        assert user.row == "a │ The Needle [/ 90"
        assert "3 hits" in user.status
        for key, at in (("n", 10), ("n", 50), ("N", 10), ("N", 90)):
            await user.press(key)
            assert user.row == f"a │ The Needle [/ {at}"
        assert marked(user) == ["Needle [/"]
        await user.come(["needle [/ again"])
        assert "4 hits" in user.status
        await user.press("slash", "escape")
        assert user.view.has_focus
        assert "4 hits" in user.status
        await user.press("slash", "delete", "enter")
        assert marked(user) == []
        assert "hit" not in user.status


def marked(user: Reader) -> list[str]:
    """What is drawn as a hit, on the rows that are seen."""
    style = user.view.get_component_rich_style("log--hit", partial=True)
    found = []
    for y in range(user.view.size.height):
        for segment in user.view.render_line(y):
            if segment.style and segment.style.underline and segment.style.color == style.color:
                found.append(segment.text)
    return found


async def test_the_next_error_first_the_newest() -> None:
    async with reader() as user:
        texts = numbered(0, 100)
        texts[5], texts[60] = "error: early", "error: late"
        await user.come(texts)
        await user.press("e")
        assert user.row == "a!│ error: late"
        await user.press("e")
        assert user.row == "a!│ error: early"
        await user.press("Y")
        assert user.app.clipboard == "a: error: early\na: error: late"


@pytest.mark.parametrize("theme", ["k3s-dark", "k3s-light", "high-contrast"])
async def test_every_part_of_a_line_can_be_read_in_every_theme(theme: str) -> None:
    async with reader() as user:
        for one in themes.load(None).themes:
            user.app.register_theme(one)
        user.app.theme = theme
        await user.come(["error: x", "fine", "a hit"])
        await user.search("hit")
        await user.press("home")
        for row in range(3):
            for segment in user.view.render_line(row):
                style = segment.style
                assert style is not None and style.color and style.bgcolor
                text, ground = map(Color.from_rich_color, (style.color, style.bgcolor))
                assert contrast(text, ground) >= 4.5, (segment.text, text, ground)


def contrast(one: Color, other: Color) -> float:
    """As WCAG 2 has it."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(color: Color) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


async def test_an_error_is_told_by_a_sign_in_ascii_too() -> None:
    glyphs.use_ascii(True)
    async with reader() as user:
        await user.come(["error: x", "fine"])
        assert user.rows[:2] == ["a!| error: x", "a | fine"]


async def test_the_mouse_selects_across_lines_and_pruning() -> None:
    async with reader() as user:
        for _ in range(20):
            await user.come(["x"] * 100, "loud")
        assert user.view.lines[0].number, "nothing was pruned: rows are numbers of lines"
        before = user.app.buffer.pruned
        await user.come(["中文 zero", *numbered(1, 150)], "quiet")
        await user.search("zero")
        top = user.view.content_region.y + user.rows.index("quiet │ 中文 zero")
        await user.pilot.mouse_down(offset=Offset(10, top))
        await user.pilot.hover(offset=Offset(9, top + 2))
        await user.pilot.mouse_up(offset=Offset(9, top + 2))
        await user.pilot.pause()
        assert user.app.screen.get_selected_text() == "文 zero\nquiet │ line 1\nquiet │ li"
        for _ in range(20):
            await user.come(["x"] * 100, "loud")
        assert user.app.buffer.pruned > before
        await user.press("ctrl+c")
        assert user.app.clipboard == "文 zero\nquiet │ line 1\nquiet │ li"


async def test_a_selection_is_drawn() -> None:
    async with reader() as user:
        await user.come(numbered(0, 3))
        plain = [segment.style for segment in user.view.render_line(0)]
        user.app.screen.text_select_all()
        await user.pilot.pause()
        assert [segment.style for segment in user.view.render_line(0)] != plain
        assert user.app.screen.get_selected_text() is not None


async def test_wide_characters_take_two_cells_however_far_one_scrolls_aside() -> None:
    async with reader((40, 10)) as user:
        await user.come(["中文" * 12 + "end", "x" * 51])
        width = user.view.scrollable_content_region.width
        for _ in range(40):
            strips = [user.view.render_line(y) for y in range(user.view.size.height)]
            assert {strip.cell_length for strip in strips} == {width}
            if user.view.is_horizontal_scroll_end:
                break
            await user.press("right")
        assert user.rows[0].rstrip().endswith("end")


async def test_only_what_is_seen_is_drawn() -> None:
    async with reader() as user:
        await user.come(numbered(0, PER_HOST))
        assert len(user.view._strips) <= user.view.size.height


@pytest.mark.parametrize("host", ["a", "[/usr/lib]", "\x1b[31m\u202e"])
async def test_hostile_text_is_shown_as_it_is_and_copied_as_it_is_shown(host: str) -> None:
    async with reader((120, 40)) as user:
        await user.come(HOSTILE, host)
        seen = "\n".join(user.rows)
        for text in (
            "[/usr/lib]",
            "[@click=app.quit]x[/]",
            "\\x1b[2J\\x1b]52;c;cm0gLXJm\\x07",
            "\\u202egnp.exe\\u202c",
            "a\\x00b",
            "two\\x0alines",
            "\\ud800",
        ):
            assert text in seen
        for row in user.rows:
            assert row.isprintable()
        await user.press("1")
        assert user.status.isprintable()
        await user.press("home", "down", "y")
        assert user.app.clipboard.endswith(": [@click=app.quit]x[/]")
        await user.search("[/")
        assert "2 hits" in user.status
        await user.pilot.click(LogView, offset=(8, 1))
        assert user.app.is_running


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (20, 5), (3, 2), (1, 1)])
async def test_it_bears_any_size(size: tuple[int, int]) -> None:
    async with reader(size) as user:
        await user.come(HOSTILE)
        await user.press("up", "pageup", "home", "right", "end", "e", "1", "0", "E", "y")
        await user.pilot.resize_terminal(120, 40)
        await user.come(["error: x"])
        assert user.view.following
        assert user.rows[-1] or user.rows[0]


async def test_it_follows_through_a_change_of_size() -> None:
    async with reader((80, 40)) as user:
        await user.come(numbered(0, 100))
        for height in (15, 40, 24):
            await user.pilot.resize_terminal(80, height)
            await user.pilot.pause()
            assert user.view.following
            assert user.rows[-1] == "a │ line 99"


async def test_search_takes_every_key_as_text() -> None:
    async with reader() as user:
        await user.come(["error: x"])
        await user.press("slash", "1", "e", "y", "f")
        assert user.app.query_one(Input).value == "1eyf"
        assert user.status == "Log: all hosts, following"
