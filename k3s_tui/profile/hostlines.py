"""Several hosts pasted as text, one per line: `name address [user] [roles…]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, get_args

import msgspec

from k3s_tui.profile.problem import did_you_mean, nearest, shown
from k3s_tui.profile.shapes import Address, HostName, Role, UserName

MOST_LINES = 200
_LONGEST_LINE = 1000
_ROLES: tuple[str, ...] = get_args(get_args(Role)[0])


@dataclass(frozen=True, slots=True)
class HostLine:
    """One host.  `line` counts from 1; `user` is '' and `roles` empty when not given."""

    line: int
    name: str
    address: str
    user: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong with a line, which makes no host, and what was expected."""

    line: int
    text: str
    expected: str = ""


def parse_lines(text: str) -> tuple[tuple[HostLine, ...], tuple[LineProblem, ...]]:
    """The hosts in the text, and what is wrong with the other lines.

    Words are separated by blanks, tabs, commas or semicolons; `#` begins a comment.  A line may
    also be `address` or `user@address`, with roles: the name is then made from the address.
    """
    hosts: dict[str, HostLine] = {}
    problems: list[LineProblem] = []
    filled = 0
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        words = re.split(r"[\s,;]+", line[:_LONGEST_LINE].partition("#")[0])
        words = [word for word in words if word]
        if not words:
            continue
        filled += 1
        if filled > MOST_LINES:
            problems.append(LineProblem(number, f"only the first {MOST_LINES} hosts are read"))
            break
        found = _host(number, words)
        if isinstance(found, HostLine) and found.name in hosts:
            first = hosts[found.name].line
            found = LineProblem(number, f"{shown(found.name)} is also the name in line {first}")
        if isinstance(found, HostLine):
            hosts[found.name] = found
        else:
            problems.append(found)
    return tuple(hosts.values()), tuple(problems)


def _host(line: int, words: list[str]) -> HostLine | LineProblem:
    first, *rest = words
    named = bool(rest) and rest[0] not in _ROLES and "@" not in first
    if named and _is_ip(first):
        return LineProblem(line, f"{shown(first)} is an address", "name address [user] [roles…]")
    place = rest.pop(0) if named else first
    user, _, address = place.rpartition("@")
    if rest and not user and rest[0] not in _ROLES:
        user = rest.pop(0)
    name = first if named else _name_of(address)
    for value, shape in ((address, Address), (name, HostName), (user, UserName)):
        expected = _expected(value, shape)
        if expected:
            what = _words(shape)["what"]
            return LineProblem(line, f"{shown(value)} is not a valid {what}", expected)
    for role in rest:
        if role not in _ROLES:
            meant = did_you_mean(nearest(role, _ROLES))
            expected = "; ".join(filter(None, (f"one of: {', '.join(_ROLES)}", meant)))
            return LineProblem(line, f"unknown role {shown(role)}", expected)
    return HostLine(line, name, address, user, tuple(dict.fromkeys(rest)))


def _name_of(address: str) -> str:
    """`host-10-0-0-1` for 10.0.0.1, and the first label of a DNS name."""
    if _is_ip(address):
        return "host-" + re.sub(r"[^0-9a-f]+", "-", address.lower()).strip("-")
    return address.partition(".")[0].lower()


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _expected(value: str, shape: Any) -> str:
    """What the profile's own shape expects instead; '' when the value fits."""
    if shape is UserName and not value:
        return ""
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return str(_words(shape)["expected"])
    return ""


def _words(shape: Any) -> dict[str, Any]:
    extra: dict[str, Any] = shape.__metadata__[0].extra
    return extra
