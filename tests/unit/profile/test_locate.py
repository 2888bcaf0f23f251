from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from k3s_tui.profile.locate import locate
from tests.unit.profile.documents import TEXT

ODD = r'''
# comment with [brackets] = "x"
title = "a # b" # c
"quoted key" . 'lit"eral' = 1979-05-27 07:32:00 # dotted
d.a = 1
d.b . c = [ 1, # one
  [ "x]", 'y' ], ] # end
inline = { a.b = 1, "c" = { d = "}" }, e = [] , f = {} }
ml = """
a "quoted" \""" text\\""""
ml2 = """x"""""
ml3 = \'\'\'it's ''here''\'\'\'
[ table . sub ]
x = +1_000
y = inf
z = false
t = 07:32:00.5
[[array]]
a = 1
[array.sub]
b = 2
[[array]]
a = 3
[[array.deep]]
c = 4
[[array.deep]]
c = 5
[table]
w = ""
'''.replace("\\'", "'")


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from leaves(item, (*path, index))


def check_every_place(text: str) -> None:
    """The text at each value's place means that value; at each key's place, that key."""
    document = tomllib.loads(text)
    places = locate(text)
    for path, value in leaves(document):
        span = places.values[path]
        again = tomllib.loads("v = " + text[span.start : span.end])["v"]
        assert repr(again) == repr(value), path
        if isinstance(path[-1], str):
            key = places.keys[path]
            assert tomllib.loads(text[key.start : key.end] + " = 1") == {path[-1]: 1}


@pytest.mark.parametrize("text", [ODD, TEXT, "", "a=1", "a={b=1}", "[a]\n[a.b]\nc=''"])
def test_places_of_a_document(text: str) -> None:
    check_every_place(text)


keys = st.text(min_size=1, max_size=6)
scalars = st.one_of(
    st.text(max_size=12),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.floats(allow_nan=False),
    st.datetimes(),
    st.dates(),
    st.times(),
)
documents = st.dictionaries(
    keys,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(documents, st.booleans())
def test_places_of_any_document(document: dict[str, Any], multiline: bool) -> None:
    check_every_place(tomli_w.dumps(document, multiline_strings=multiline).replace("\r\n", "\n"))


def test_lines_and_comments() -> None:
    places = locate(TEXT)
    headers = [path for path, _ in places.headers]
    assert ("hosts", "nginx") in headers and ("hosts",) not in headers
    assert TEXT[places.pairs[0][1].start : places.pairs[0][1].end] == "schema = 1"
    assert all(TEXT[span.start] == "#" for span in places.comments)
    assert len(places.comments) == TEXT.count("#")
