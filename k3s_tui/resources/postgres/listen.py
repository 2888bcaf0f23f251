"""Arithmetic on `listen_addresses`: what we need is added, nothing is ever taken away."""

from __future__ import annotations

from k3s_tui.core.address import canonical, ip

_LOOPBACK = "localhost"


def wanted(addresses: tuple[str, ...], running: str, configured: str) -> str:
    """What `listen_addresses` should say, given what the server listens on and what its files say.

    Everything in both, then `addresses` where missing; '*' swallows the rest, as it does for
    PostgreSQL.  A value that serves already is kept to the letter: a change of one blank
    would ask for a restart.
    """
    if running == configured and covers(running, addresses):
        return running
    entries = list(dict.fromkeys(_entries(running) + _entries(configured)))
    for address in addresses:
        if not any(_covers(entry, address) for entry in entries):
            entries.append(address)
    return "*" if "*" in entries else ", ".join(entries)


def covers(value: str, addresses: tuple[str, ...]) -> bool:
    """Whether a server with this `listen_addresses` listens on all of them."""
    entries = _entries(value)
    return all(any(_covers(entry, address) for entry in entries) for address in addresses)


def _entries(value: str) -> list[str]:
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def _covers(entry: str, address: str) -> bool:
    entry, address = canonical(entry), canonical(address)
    if entry in ("*", address):
        return True
    if entry == "0.0.0.0":
        return address == _LOOPBACK or _version(address) == 4
    if entry == "::":
        return _version(address) == 6
    if address == _LOOPBACK:
        return entry == "127.0.0.1"
    return entry == _LOOPBACK and address in ("127.0.0.1", "::1")


def _version(address: str) -> int:
    parsed = ip(address)
    return parsed.version if parsed else 0
