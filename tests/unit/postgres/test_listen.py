from __future__ import annotations

import pytest

from k3s_tui.resources.postgres import listen

OURS = ("10.161.129.212",)


@pytest.mark.parametrize(
    ("running", "configured", "result"),
    [
        ("localhost", "localhost", "localhost, 10.161.129.212"),
        ("", "", "10.161.129.212"),
        ("*", "*", "*"),
        ("localhost", "*", "*"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1, 10.161.129.212"),
        # Nothing of ours needs localhost, so nobody is restarted for it.
        ("10.161.129.212", "10.161.129.212", "10.161.129.212"),
        ("10.0.0.1,localhost", "10.0.0.2", "10.0.0.1, localhost, 10.0.0.2, 10.161.129.212"),
        # Not one blank is changed in what serves already: it would ask for a restart.
        ("10.161.129.212,127.0.0.1", "10.161.129.212,127.0.0.1", "10.161.129.212,127.0.0.1"),
    ],
)
def test_nothing_is_taken_away(running: str, configured: str, result: str) -> None:
    assert listen.wanted(OURS, running, configured) == result
    assert listen.covers(result, OURS)
    assert listen.wanted(OURS, result, result) == result


@pytest.mark.parametrize(
    ("value", "addresses", "covered"),
    [
        ("", OURS, False),
        ("10.161.129.212", OURS, True),
        ("localhost", ("127.0.0.1",), True),
        ("localhost", OURS, False),
        ("localhost, 10.161.129.212", OURS, True),
        ("*", ("*",), True),
        ("0.0.0.0", ("*",), False),
        ("0.0.0.0", ("fd00::1",), False),
        ("0.0.0.0, ::", ("fd00::1", "10.0.0.1"), True),
    ],
)
def test_what_is_listened_on(value: str, addresses: tuple[str, ...], covered: bool) -> None:
    assert listen.covers(value, addresses) == covered


def test_all_interfaces_can_be_asked_for() -> None:
    assert listen.wanted(("*",), "localhost", "localhost") == "*"
