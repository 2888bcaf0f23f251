"""Who listens on which TCP port, from `ss`, `netstat` or /proc, whichever a host has."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

_LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`address` is as the tool prints it: 0.0.0.0, ::, * or one address.  `process` may be ''.

    `pids` are those that are named: of all who share the socket with `ss`, of one with `netstat`.
    """

    port: int
    address: str
    process: str = ""
    pids: tuple[int, ...] = ()


def parse_listeners(
    ss: Iterable[str], netstat: Iterable[str], procnet: Iterable[str]
) -> tuple[Listener, ...]:
    """Listeners in the lines of `ss -ltnp`, `netstat -ltnp` and /proc/net/tcp{,6}."""
    found = [*map(_ss, ss), *map(_netstat, netstat), *map(_procnet, procnet)]
    return tuple(listener for listener in found if listener)


def _ss(line: str) -> Listener | None:
    words = line.split(maxsplit=5)
    if len(words) < 5 or words[0] != "LISTEN":
        return None
    users = re.findall(r'\("([^"]*)",pid=(\d+)', words[5]) if len(words) > 5 else []
    return _listener(words[3], users[0][0] if users else "", *(pid for _, pid in users))


def _netstat(line: str) -> Listener | None:
    words = line.split(maxsplit=6)
    if len(words) < 6 or not words[0].startswith("tcp") or words[5] != "LISTEN":
        return None
    pid, _, process = (words[6] if len(words) > 6 else "").strip().partition("/")
    return _listener(words[3], process, pid)


def _listener(place: str, process: str, *pids: str) -> Listener | None:
    address, _, port = place.rpartition(":")
    if not port.isdigit():
        return None
    numbers = tuple(int(pid) for pid in pids if pid.isdigit())
    return Listener(int(port), address.strip("[]").partition("%")[0], process, numbers)


def _procnet(line: str) -> Listener | None:
    words = line.split()
    if len(words) < 4 or words[3] != _LISTEN:
        return None
    address, _, port = words[1].partition(":")
    try:
        return Listener(int(port, 16), _unhex(address))
    except ValueError:
        return None


def _unhex(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the host's byte order."""
    raw = bytes.fromhex(text)
    words = (raw[at : at + 4] for at in range(0, len(raw), 4))
    return str(ipaddress.ip_address(b"".join(word[::-1] for word in words)))
