"""Whatever the bytes: a profile, or its problems; and they can be shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from k3s_tui.profile.load import load
from k3s_tui.profile.problem import ProfileInvalid
from tests.unit.profile.documents import TEXT

RAW = TEXT.encode()
TOKENS = sorted(set(re.findall(rb"[\w.-]+|[^\w\s]|\s+", RAW)))
ODD = [
    b"\x00",
    b"\x1b[2J",
    b"\xff",
    "é".encode(),
    "日本".encode(),
    "\u202e".encode(),
    b"'''",
    b'"""',
]


def attempt(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    try:
        load(path)
    except ProfileInvalid as invalid:
        text = invalid.render()
        assert all(problem.message for problem in invalid.problems)
        assert all(c == "\n" or c.isprintable() or ord(c) > 0x2FF for c in text), ascii(text)
        assert "\u202e" not in text


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "x.toml"


edits = st.lists(
    st.tuples(
        st.integers(0, len(RAW)),
        st.integers(0, 12),
        st.sampled_from(TOKENS + ODD) | st.binary(max_size=4),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(edits)
def test_mutated_profiles(path: Path, edits: list[tuple[int, int, bytes]]) -> None:
    raw = RAW
    for at, length, text in edits:
        raw = raw[:at] + text + raw[at + length :]
    attempt(path, raw)


VALUES = rb"""
1 -1 true "" "x" [] {} [[]] [{}] nan 1979-05-27 "\u0000" "\u001b[2J" ["server",1] {a={b=1}}
""".split()
values = st.sampled_from([*VALUES, b"0x" + b"f" * 5000])
places = [match.span(1) for match in re.finditer(rb"^[\w-]+ = (.+?)(?: +#.*)?$", RAW, re.M)]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(places), values), min_size=1, max_size=3))
def test_any_value_at_any_place(path: Path, changes: list[tuple[tuple[int, int], bytes]]) -> None:
    raw = RAW
    for (start, end), value in sorted(changes, reverse=True):
        raw = raw[:start] + value + raw[end:]
    attempt(path, raw)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
@example(b"\xef\xbb\xbfschema = 1")
def test_any_bytes(path: Path, raw: bytes) -> None:
    attempt(path, raw)
