from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k3s_tui.profile.hostlines import MOST_LINES, HostLine, parse_lines
from k3s_tui.profile.load import check


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("s1 10.0.0.1", HostLine(1, "s1", "10.0.0.1")),
        ("s1 10.0.0.1 ann", HostLine(1, "s1", "10.0.0.1", "ann")),
        ("s1,10.0.0.1,ann,server", HostLine(1, "s1", "10.0.0.1", "ann", ("server",))),
        ("s1\t10.0.0.1  server", HostLine(1, "s1", "10.0.0.1", "", ("server",))),
        (
            "db db.example.org root datastore;loadbalancer # both",
            HostLine(1, "db", "db.example.org", "root", ("datastore", "loadbalancer")),
        ),
        ("s1 ann@10.0.0.1 agent", HostLine(1, "s1", "10.0.0.1", "ann", ("agent",))),
        ("10.0.0.1", HostLine(1, "host-10-0-0-1", "10.0.0.1")),
        ("fd00::1 agent", HostLine(1, "host-fd00-1", "fd00::1", "", ("agent",))),
        ("ann@10.0.0.1 agent", HostLine(1, "host-10-0-0-1", "10.0.0.1", "ann", ("agent",))),
        ("Web.example.org", HostLine(1, "web", "Web.example.org")),
    ],
)
def test_a_line_is_a_host(line: str, host: HostLine) -> None:
    assert parse_lines(line) == ((host,), ())


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        ("Server_1 10.0.0.1", '"Server_1" is not a valid host name', "lower-case"),
        ("s1 10.0.0.1/24", '"10.0.0.1/24" is not a valid address', "an IP address or a host name"),
        ("s1 10.0.0.1 a/b", '"a/b" is not a valid user name', "account"),
        ("s1 10.0.0.1 ann sever", 'unknown role "sever"', 'did you mean "server"?'),
        ("s1 10.0.0.1 ann server ann", 'unknown role "ann"', "one of: server, agent"),
        ("10.0.0.1 s1", '"10.0.0.1" is an address', "name address"),
        ("s1 ann@", '"" is not a valid address', "an IP address"),
        ("s1 \x1b[2J", "\\u001b", "an IP address"),
    ],
)
def test_a_line_that_is_none_says_why(line: str, text: str, expected: str) -> None:
    hosts, (problem,) = parse_lines(f"# hosts\n\n{line}\n")
    assert hosts == () and problem.line == 3
    assert text in problem.text and expected in problem.expected


def test_other_lines_count_all_the_same() -> None:
    hosts, problems = parse_lines("s1 10.0.0.1\r\nnot-a-host\tx/y\r\ns2 10.0.0.2\ns1 10.0.0.3")
    assert [host.name for host in hosts] == ["s1", "s2"]
    assert [(p.line, p.text) for p in problems] == [
        (2, '"x/y" is not a valid address'),
        (4, '"s1" is also the name in line 1'),
    ]


def test_a_book_is_not_read_to_its_end() -> None:
    text = "\n".join(f"h{n} 10.0.{n // 250}.{n % 250 + 1}" for n in range(MOST_LINES + 50))
    hosts, (problem,) = parse_lines(text)
    assert len(hosts) == MOST_LINES and problem.line == MOST_LINES + 1
    assert parse_lines("# nothing\n" * 10_000) == ((), ())


@given(st.text(max_size=200) | st.from_regex(r"([a-z0-9@.:_# -]{0,30}\n){0,4}", fullmatch=True))
def test_what_is_taken_fits_the_profile(text: str) -> None:
    hosts, _ = parse_lines(text)
    document = {
        "hosts": {
            host.name: {"address": host.address, "roles": ["agent"]}
            | ({"user": host.user} if host.user else {})
            for host in hosts
        }
    }
    shapes = {"bad-host-name", "bad-user"}
    assert not [p for p in check(document).problems if p.code in shapes]
