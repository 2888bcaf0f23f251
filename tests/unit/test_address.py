"""Addresses and `host:port` in text."""

from __future__ import annotations

import pytest

from k3s_tui.core.address import canonical, endpoint, ip, parted, url


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("db.example.org", 22, "db.example.org:22"),
        ("10.0.0.1", 6443, "10.0.0.1:6443"),
        ("fd00::1", 6443, "[fd00::1]:6443"),
        ("::1", "22", "[::1]:22"),
    ],
)
def test_an_endpoint_can_be_taken_apart_again(host: str, port: int | str, told: str) -> None:
    assert endpoint(host, port) == told
    assert parted(told) == (host, str(port))
    assert url("https", host, int(port)) == f"https://{told}"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("name", "name", ""), ("fd00::1", "fd00::1", ""), ("[fd00::1]", "fd00::1", "")],
)
def test_a_place_without_a_port(text: str, host: str, port: str) -> None:
    assert parted(text) == (host, port)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("FD00:0:0:0:0:0:0:0A", "fd00::a"),
        ("::FFFF:10.0.0.1", "::ffff:10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("Name.example", "Name.example"),
        ("", ""),
    ],
)
def test_one_spelling(text: str, spelled: str) -> None:
    assert canonical(text) == spelled or ip(canonical(text)) == ip(spelled)
    assert canonical(canonical(text)) == canonical(text)
