"""Reading `known_hosts` files: once, tolerant of lines that nobody can parse, never writing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from k3s_tui.core import glob
from k3s_tui.core.address import canonical
from k3s_tui.core.files import at_home

DEFAULT_PORT = 22


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key as `type base64`, and where it was read: `path:line`."""

    key: str
    where: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the files say about one host.

    `loose` are keys written without a port for a host on another port: they can vouch for a key
    and cannot contradict one, as in OpenSSH.
    """

    keys: tuple[KnownKey, ...] = ()
    loose: tuple[KnownKey, ...] = ()
    authorities: tuple[KnownKey, ...] = ()
    revoked: tuple[KnownKey, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    marker: str
    patterns: str
    key: KnownKey


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """All entries of some files; plain names are indexed, patterns and hashes searched."""

    exact: Mapping[str, tuple[_Entry, ...]] = field(default_factory=dict)
    searched: tuple[_Entry, ...] = ()

    @classmethod
    def read(cls, paths: Iterable[Path]) -> KnownHosts:
        """Files that are missing or unreadable count as empty."""
        entries: list[_Entry] = []
        for path in paths:
            try:
                text = at_home(path).read_bytes().decode(errors="replace")
            except (OSError, ValueError):  # ValueError: NUL in a path
                continue
            entries += _entries(text, str(path))
        return cls._of(entries)

    @classmethod
    def parse(cls, text: str, where: str = "known_hosts") -> KnownHosts:
        return cls._of(_entries(text, where))

    @classmethod
    def _of(cls, entries: Iterable[_Entry]) -> KnownHosts:
        exact: dict[str, tuple[_Entry, ...]] = {}
        searched = []
        for entry in entries:
            if re.search(r"[|*?!]", entry.patterns):
                searched.append(entry)
            else:
                for name in entry.patterns.lower().split(","):
                    exact[name] = (*exact.get(name, ()), entry)
        return cls(exact, tuple(searched))

    def find(self, name: str, port: int = DEFAULT_PORT) -> Known:
        """What is known of `name` on `port`, by the name as `ssh` would look it up."""
        name = canonical(name.lower())
        if port == DEFAULT_PORT:
            return _sorted(self._matching(name))
        known = _sorted(self._matching(f"[{name}]:{port}"))
        plain = _sorted(self._matching(name))
        return Known(
            known.keys,
            () if known.keys else plain.keys,
            known.authorities or plain.authorities,
            known.revoked + plain.revoked,
        )

    def _matching(self, name: str) -> list[_Entry]:
        found = list(self.exact.get(name, ()))
        found += (entry for entry in self.searched if _matches(entry.patterns, name))
        return found


def _sorted(entries: Iterable[_Entry]) -> Known:
    by_marker: dict[str, list[KnownKey]] = {"": [], "@cert-authority": [], "@revoked": []}
    for entry in entries:
        by_marker[entry.marker].append(entry.key)
    return Known(
        keys=tuple(by_marker[""]),
        authorities=tuple(by_marker["@cert-authority"]),
        revoked=tuple(by_marker["@revoked"]),
    )


def _entries(text: str, where: str) -> list[_Entry]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        marker = words.pop(0) if words and words[0] in ("@cert-authority", "@revoked") else ""
        if len(words) < 3 or words[0].startswith(("#", "@")):
            continue
        patterns, kind, blob = words[:3]
        if _is_key(kind, blob):
            found.append(_Entry(marker, patterns, KnownKey(f"{kind} {blob}", f"{where}:{number}")))
    return found


def _is_key(kind: str, blob: str) -> bool:
    """A key's blob begins with its type, length-prefixed."""
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return False
    return raw.startswith(len(kind).to_bytes(4, "big") + kind.encode(errors="replace"))


def _matches(patterns: str, name: str) -> bool:
    if patterns.startswith("|"):
        return _hash_matches(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        negated = pattern.startswith("!")
        if glob.compiled(pattern.removeprefix("!")).fullmatch(name):
            if negated:
                return False
            matched = True
    return matched


def _hash_matches(hashed: str, name: str) -> bool:
    """`|1|salt|HMAC-SHA1(salt, name)`, both in base64."""
    try:
        _, version, salt, digest = hashed.split("|")
        expected = base64.b64decode(digest, validate=True)
        found = hmac.new(base64.b64decode(salt, validate=True), name.encode(), hashlib.sha1)
    except ValueError:
        return False
    return version == "1" and hmac.compare_digest(found.digest(), expected)
