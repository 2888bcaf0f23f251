"""The lines of a run that are kept, and the part of them that one looks at."""

from __future__ import annotations

import random

import pytest

from k3s_tui.core.events import Line
from k3s_tui.tui.widgets.log_buffer import (
    LONGEST,
    Excerpt,
    LogBuffer,
    LogLine,
    index,
    is_error,
    neighbour,
)

HOSTILE = [
    "[/usr/lib]",
    "[@click=app.quit]x[/]",
    "\x1b[2J\x1b]52;c;cm0gLXJm\x07",
    "\u202egnp.exe\u202c",
    "a\0b",
    "two\nlines",
    "\ud800",
    "x" * 10_000,
    "\x1b" * 10_000,
]


def say(buffer: LogBuffer, host: str, *texts: str) -> None:
    for text in texts:
        buffer.add(Line(step=f"{host}/a/b", host=host, text=text))


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_each_host_keeps_its_newest_lines_in_the_order_in_which_they_came() -> None:
    buffer = LogBuffer(per_host=50)
    said: list[tuple[str, str]] = []
    dice = random.Random(1)
    for n in range(20_000):
        host = dice.choice(["loud", "loud", "loud", "loud", "other"])
        said.append((host, f"line {n}"))
        say(buffer, host, f"line {n}")
    say(buffer, "quiet", "only this")
    kept = buffer.since(0)
    for host in ("loud", "other"):
        newest = [text for speaker, text in said if speaker == host][-50:]
        assert [line.text for line in kept if line.host == host] == newest
    assert kept[-1].text == "only this"
    assert [line.number for line in kept] == sorted(line.number for line in kept)
    assert buffer.pruned, "nothing was pruned: the test shows nothing"
    assert (buffer.total, buffer.kept, buffer.dropped()) == (20_001, 101, 19_900)
    assert buffer.dropped("quiet") == 0
    assert buffer.dropped("loud") + buffer.dropped("other") == 19_900


def test_what_is_held_is_bounded() -> None:
    buffer = LogBuffer(per_host=5000)
    for n in range(30_000):
        say(buffer, f"h{n % 2}", "x")
        assert len(buffer._lines) <= 10_000 + 10_000 // 8 + 1


def test_a_quiet_host_keeps_its_lines_however_loud_others_are() -> None:
    buffer = LogBuffer(per_host=10)
    say(buffer, "quiet", "first")
    say(buffer, "loud", *map(str, range(10_000)))
    assert buffer.since(0)[0].text == "first"
    assert buffer.hosts == ["quiet", "loud"]


@pytest.mark.parametrize("taken", [1, 7, 999, 4000])
def test_since_gives_each_line_once_however_often_one_asks(taken: int) -> None:
    buffer = LogBuffer(per_host=5000)
    seen: list[str] = []
    for n in range(5000):
        say(buffer, "a", str(n))
        if n % taken == 0:
            seen += texts(buffer.since(len(seen)))
    seen += texts(buffer.since(len(seen)))
    assert seen == [str(n) for n in range(5000)]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_one_printable_line_of_bounded_length(text: str) -> None:
    buffer = LogBuffer()
    say(buffer, "a", text)
    [line] = buffer.since(0)
    assert line.text.isprintable()
    assert len(line.text) <= LONGEST + len("… (99999 more)")


def test_harmless_text_stays_as_it_is_and_tabs_are_spaces() -> None:
    buffer = LogBuffer()
    say(buffer, "a", "[/usr/lib] 中文 [b]", "a\tb", "x" * (LONGEST + 3))
    assert texts(buffer.since(0)) == [
        "[/usr/lib] 中文 [b]",
        "a       b",
        "x" * LONGEST + "… (3 more)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        'time="2026-11-23T02:15:00Z" level=error msg="no route"',
        'time="2026-11-23T02:15:00Z" level=fatal msg="starting kubernetes"',
        "E1123 10:11:12.123456    1234 reflector.go:138] cannot list",
        "E: Unable to locate package k3s",
        "psql: error: connection to server failed",
        "2026-11-23 02:15:00 UTC [99] FATAL:  password authentication failed",
        "Failed to start k3s.service",
        "[ERROR]  Download failed",
        "panic: runtime error: index out of range",
    ],
)
def test_an_error_is_seen(text: str) -> None:
    assert is_error(text)


@pytest.mark.parametrize(
    "text",
    [
        'time="2026-11-23T02:15:00Z" level=info msg="retry after error: refused"',
        "5 succeeded, 0 failed",
        "there was no error",
        "writing /var/log/error.log",
        "errors=0 failed=0",
        "File: k3s.yaml",
        "[INFO]  Verifying binary download",
    ],
)
def test_what_only_speaks_of_errors_is_none(text: str) -> None:
    assert not is_error(text)


def test_an_excerpt_is_what_is_wanted_of_the_buffer_whatever_comes_and_goes() -> None:
    buffer = LogBuffer(per_host=20)
    excerpt = Excerpt(buffer)
    excerpt.show("b", only_errors=True)
    excerpt.search("DISK")
    for n in range(3000):
        say(buffer, "a", f"error: disk {n}")
        if n % 7 == 0:
            say(buffer, "b", f"all is well {n}", f"error: disk {n}", f"error: tape {n}")
        if n % 5 == 0:
            excerpt.take()
    excerpt.take()
    wanted = [line for line in buffer.since(0) if line.host == "b" and line.is_error]
    assert buffer.pruned
    assert wanted
    assert buffer.keep(excerpt.lines) == wanted
    assert buffer.keep(excerpt.errors) == wanted
    assert buffer.keep(excerpt.hits) == [line for line in wanted if "disk" in line.text]


def test_pruning_reaches_hits_and_errors() -> None:
    buffer = LogBuffer(per_host=10)
    excerpt = Excerpt(buffer)
    excerpt.search("error")
    for _ in range(5000):
        say(buffer, "a", "error")
        excerpt.take()
    assert len(excerpt.hits) == len(excerpt.errors) == len(excerpt.lines) < 1100


def test_search_takes_the_text_literally_and_knows_no_case() -> None:
    excerpt = Excerpt(LogBuffer())
    say(excerpt.buffer, "a", "[/usr/LIB] x", "usr", "İ [/usr/lib] [/usr/lib]")
    excerpt.take()
    excerpt.search("[/usr/lib]")
    assert texts(excerpt.hits) == ["[/usr/LIB] x", "İ [/usr/lib] [/usr/lib]"]
    text = excerpt.hits[1].text
    assert [text[slice(*span)] for span in excerpt.spans(text)] == ["[/usr/lib]"] * 2
    excerpt.search("")
    assert excerpt.hits == []
    assert excerpt.spans(text) == []


def test_the_neighbour_of_a_line_goes_round_the_end() -> None:
    lines = [LogLine(number, "a", "", False) for number in (3, 5, 9)]
    found = [neighbour(lines, number, 1) for number in (0, 3, 4, 9)]
    assert [line and line.number for line in found] == [3, 5, 5, 3]
    found = [neighbour(lines, number, -1) for number in (10, 9, 4, 3)]
    assert [line and line.number for line in found] == [9, 5, 3, 9]
    assert neighbour([], 1, 1) is None
    assert index(lines, 4) == 1
