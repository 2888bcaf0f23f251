from __future__ import annotations

import pytest

from k3s_tui.profile.load import parse
from k3s_tui.profile.problem import ProfileInvalid, ProfileProblem
from k3s_tui.profile.render import render
from tests.unit.profile.documents import TEXT, changed


def rendered(text: str) -> str:
    with pytest.raises(ProfileInvalid) as caught:
        parse(text, "how-to.toml")
    return caught.value.render()


def test_a_problem_looks_like_a_compilers() -> None:
    assert rendered(changed(('["agent"]', '["agnt"]'))) == (
        'error[unknown-role]: unknown role "agnt"\n'
        "  --> how-to.toml:28:10\n"
        "   |\n"
        '28 | roles = ["agnt"]\n'
        "   |          ^^^^^^ expected one of: server, agent, datastore, loadbalancer\n"
        '   = help: did you mean "agent"?\n'
    )


def test_problems_are_separated_and_in_order() -> None:
    text = rendered(changed(('["agent"]', "[1]"), ("port = 6443", "port = 0")))
    first, second = text.split("\n\n")
    assert first.startswith("error[wrong-type]") and second.startswith("error[out-of-range]")


def test_a_problem_without_a_place() -> None:
    problem = ProfileProblem("unreadable", "cannot read the file", expected="a file", help="look")
    assert render([problem], "", "x.toml") == (
        "error[unreadable]: cannot read the file\n"
        " --> x.toml\n"
        "  = expected: a file\n"
        "  = help: look\n"
    )


def under(source: str, part: str) -> tuple[str, str]:
    """The quoted line, and what stands in it over the carets, by columns."""
    before = source[: source.index(part)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    problem = ProfileProblem("c", "m", line=line, column=column, length=len(part))
    quoted, carets = render([problem], source, "f").splitlines()[3:5]
    return quoted, carets


@pytest.mark.parametrize(
    ("source", "part", "quoted", "carets"),
    [
        ('name = "日本語" # x', '"日本語"', '1 | name = "日本語"', "  |        ^^^^^^^^"),
        ('a = ["日本", "x"]', '"x"', "1 | a = •••", "  |     ^^^"),
        ('name = ["é", "x"]', '"x"', '1 | name = ["é", "x"]', "  |              ^^^"),
        ('name = ["e\u0301", 1]', "1", '1 | name = ["e\u0301", 1]', "  |              ^"),
        ("\tname\t=\t1", "1", "1 |     name    =    1", "  |                  ^"),
    ],
)
def test_carets_stand_under_wide_narrow_and_tabs(
    source: str, part: str, quoted: str, carets: str
) -> None:
    assert under(source, part) == (quoted, carets)


def test_a_long_line_is_cut_around_the_caret() -> None:
    source = "name = [" + "1, " * 200 + '"here", ' + "2, " * 200 + "]"
    quoted, carets = under(source, '"here"')
    assert quoted[carets.index("^") : carets.rindex("^") + 1] == '"here"'
    assert quoted.startswith("1 | …") and quoted.endswith("…") and len(quoted) < 130


def test_controls_do_not_reach_the_terminal() -> None:
    text = rendered('name = "\x1b[2J\u202e"\n')
    assert "\x1b" not in text and "\u202e" not in text
    text = rendered(TEXT.replace('"sles"', '"sles\u202e\u200f"'))
    assert "\u202e" not in text and "\u200f" not in text
