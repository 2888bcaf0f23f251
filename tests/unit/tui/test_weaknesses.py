from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest

from k3s_tui.procedure.weaknesses import Code, Weakness
from k3s_tui.tui import language
from k3s_tui.tui.weaknesses import TEXTS, tell

CODES: tuple[Code, ...] = get_args(Code)


@pytest.fixture
def chinese() -> Iterator[None]:
    language.use("zh_CN")
    yield
    language.use("en")


def test_each_has_a_text() -> None:
    assert TEXTS.keys() == set(CODES)


@pytest.mark.usefixtures("chinese")
def test_no_two_say_the_same_in_chinese() -> None:
    told = {tell(Weakness(code, "in English", ("s1", "s2"))) for code in CODES}
    assert len(told) == len(CODES)
    assert "in English" not in told
