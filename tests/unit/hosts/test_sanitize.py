from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k3s_tui.hosts.sanitize import LineDecoder, sanitize, sanitize_block


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain text, Größe, 中文, 🚀", "plain text, Größe, 中文, 🚀"),
        ("a\tb", "a\tb"),
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x00b\x7fc\x9bd", "a\\x00b\\x7fc\\x9bd"),
        ("one\ntwo\rthree", "one\\x0atwo\\x0dthree"),
        ("evil\u202etxt.exe", "evil\\u202etxt.exe"),
        ("a\u2066b\u2069c\u200ed\u061ce", "a\\u2066b\\u2069c\\u200ed\\u061ce"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028sep\u2029", "line\\u2028sep\\u2029"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("lone \udcff surrogate", "lone \\udcff surrogate"),
        ("[/red] [@click=app.quit]", "[/red] [@click=app.quit]"),
    ],
)
def test_what_acts_on_a_terminal_becomes_visible(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@given(st.text())
def test_what_is_left_is_printable_and_encodable(text: str) -> None:
    seen = sanitize(text)
    seen.encode()
    assert not any(ord(char) < 32 and char != "\t" for char in seen)
    assert sanitize(seen) == seen


def test_a_block_keeps_its_lines() -> None:
    assert sanitize_block("one\r\ntwo\x1b\n\nthree") == "one\ntwo\\x1b\n\nthree"


def lines(*chunks: bytes, cap: int = 100) -> list[str]:
    decoder = LineDecoder(cap)
    return [line for chunk in chunks for line in decoder.feed(chunk)] + decoder.close()


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"on", b"e\n\ntw", b"o"], ["one", "", "two"]),
        (["é".encode()[:1], "é".encode()[1:] + b"\n"], ["é"]),
        ([b"bad \xff\xfe byte\n"], ["bad \ufffd\ufffd byte"]),
        ([b"cut \xc3"], ["cut \ufffd"]),
        ([b"windows\r\nlines\r", b"\nhere"], ["windows", "lines", "here"]),
        ([b"10%\r50", b"%\r100%\n"], ["100%"]),
        ([b"100%\r\n"], ["100%"]),
        ([b"\x1b[31mred\n"], ["\\x1b[31mred"]),
        ([b""], []),
    ],
)
def test_lines_of_a_stream(chunks: list[bytes], expected: list[str]) -> None:
    assert lines(*chunks) == expected


def test_a_line_without_an_end_takes_no_memory() -> None:
    decoder = LineDecoder(cap=10)
    for _ in range(1000):
        assert decoder.feed(b"x" * 1000) == []
    assert decoder.feed(b"\nnext\n") == ["xxxxxxxxxx… (999990 more)", "next"]


@given(st.binary(), st.integers(0, 50))
def test_where_chunks_are_cut_does_not_matter(data: bytes, cut: int) -> None:
    assert lines(data[:cut], data[cut:]) == lines(data)
