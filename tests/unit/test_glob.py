"""Patterns mean what they mean everywhere else."""

from __future__ import annotations

import fnmatch

from hypothesis import given
from hypothesis import strategies as st

from k3s_tui.core import glob


@given(st.text("ab.*?", max_size=10), st.text("ab.", max_size=12))
def test_as_others_match(pattern: str, text: str) -> None:
    assert bool(glob.compiled(pattern).fullmatch(text)) == fnmatch.fnmatchcase(text, pattern)


def test_brackets_are_letters() -> None:
    assert glob.compiled("[a*]:22").fullmatch("[abc]:22")
    assert not glob.compiled("[ab]").fullmatch("a")
