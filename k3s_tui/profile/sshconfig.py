"""Hosts of an OpenSSH client configuration, offered for import.

Only what a host list needs is read, by ssh's rules: the first value wins, `Host` patterns,
`Include`.  `Match` blocks other than `Match all` are left out, since ssh decides them only when it
connects.  What cannot be used is told, never raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from k3s_tui.core import glob

_LARGEST_FILE = 1 << 20
_MOST_FILES = 64
_MOST_HOSTS = 500
_WANTED = frozenset({"hostname", "user", "port", "proxyjump", "proxycommand", "identityfile"})
_WORD = re.compile(r"""(?P<quote>["'])(?P<quoted>.*?)(?P=quote)|(?P<bare>[^\s"']+)""")

_Condition: TypeAlias = tuple[str, ...] | None
"""The patterns of a Host block; None for a Match that nobody decided."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One alias.  `address` is its HostName, or the alias itself; '' and None: not given."""

    alias: str
    address: str
    user: str = ""
    port: int | None = None
    jump: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class SshHosts:
    """Hosts in the order of the files, and what could not be used: `path:line: what`."""

    hosts: tuple[Candidate, ...]
    problems: tuple[str, ...]


def read_hosts(path: Path, home: Path | None = None) -> SshHosts:
    """Every concrete alias (no wildcard) of a configuration such as `~/.ssh/config`.

    `home` is the folder that `~` stands for.  Relative includes are below its `.ssh`.
    """
    reader = _Reader(home or Path.home())
    reader.file(path, ())
    aliases = list(reader.aliases)
    if len(aliases) > _MOST_HOSTS:
        reader.problems.append(f"{path}: only the first {_MOST_HOSTS} hosts are offered")
    hosts = tuple(reader.candidate(alias) for alias in aliases[:_MOST_HOSTS])
    return SshHosts(hosts, tuple(reader.problems))


@dataclass(frozen=True, slots=True)
class _Setting:
    conditions: tuple[_Condition, ...]
    key: str
    value: str
    where: str


@dataclass(slots=True)
class _Reader:
    home: Path
    settings: list[_Setting] = field(default_factory=list)
    aliases: dict[str, None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    files: int = 0

    def file(self, path: Path, outer: tuple[_Condition, ...]) -> None:
        self.files += 1
        if self.files > _MOST_FILES:
            self.problems.append(f"{path}: too many includes; it is left out")
            return
        try:
            with path.open("rb") as file:
                raw = file.read(_LARGEST_FILE + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            self.problems.append(f"{path}: {reason}")
            return
        if len(raw) > _LARGEST_FILE:
            self.problems.append(f"{path}: larger than 1 MiB; it is left out")
            return
        block: tuple[_Condition, ...] = outer
        for number, line in enumerate(raw.decode(errors="replace").split("\n"), start=1):
            where = f"{path}:{number}"
            key, words = _split(line)
            if key and not words:
                self.problems.append(f"{where}: {_shown(key)} has no value")
            elif key == "host":
                block = (*outer, tuple(words))
                self._name(words)
            elif key == "match":
                always = [word.lower() for word in words] == ["all"]
                block = (*outer, ("*",) if always else None)
                if not always:
                    self.problems.append(f"{where}: a Match block is not read")
            elif key == "include" and self.files <= _MOST_FILES:
                for included in self._included(words, where):
                    self.file(included, block)
            elif key in _WANTED:
                value = " ".join(words) if key == "proxycommand" else words[0]
                self.settings.append(_Setting(block, key, value, where))

    def _name(self, words: list[str]) -> None:
        for word in words:
            if word and word.isprintable() and not re.search(r"[*?!\ufffd]", word):
                self.aliases.setdefault(word)

    def _included(self, words: list[str], where: str) -> Iterator[Path]:
        for word in words:
            own = re.sub(r"\*+", "*", word)  # here `**` would search all folders below
            pattern = self.home / own[2:] if own.startswith("~/") else self.home / ".ssh" / own
            # An absolute path stands for itself, and needs another place to begin at.
            root = Path(pattern.anchor)
            try:
                found = sorted(root.glob(str(pattern.relative_to(root))))
            except (OSError, ValueError, IndexError, NotImplementedError):
                self.problems.append(f"{where}: cannot include {_shown(word)}")
                continue
            yield from (path for path in found if path.is_file())

    def candidate(self, alias: str) -> Candidate:
        found: dict[str, _Setting] = {}
        for setting in self.settings:
            if setting.key not in found and all(_holds(c, alias) for c in setting.conditions):
                if {setting.key, *found} >= {"proxyjump", "proxycommand"}:
                    continue  # whichever comes first counts
                found[setting.key] = setting
        values = {key: setting.value for key, setting in found.items()}
        if values.get("proxycommand", "none") != "none":
            self.problems.append(f"{found['proxycommand'].where}: {alias} is behind a ProxyCommand")
        jump = values.get("proxyjump", "")
        return Candidate(
            alias=alias,
            address=_expanded(values.get("hostname") or alias, alias),
            user=values.get("user", ""),
            port=self._port(found.get("port")),
            jump="" if jump.lower() == "none" else jump,
            identity=values.get("identityfile", ""),
        )

    def _port(self, setting: _Setting | None) -> int | None:
        if setting is None:
            return None
        if re.fullmatch(r"[0-9]{1,5}", setting.value) and 1 <= int(setting.value) <= 65535:
            return int(setting.value)
        problem = f"{setting.where}: {_shown(setting.value)} is not a port"
        if problem not in self.problems:
            self.problems.append(problem)
        return None


def _split(line: str) -> tuple[str, list[str]]:
    """`Key value …` or `Key=value`, in lower case and without quotes; ('', []) for nothing."""
    found = re.match(r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+|$)(.*)", line, re.DOTALL)
    if not found:
        return "", []
    words: list[str] = []
    for word in _WORD.finditer(found[2]):
        bare = word["bare"]
        if bare is not None and bare.startswith("#"):
            break
        words.append(word["quoted"] if bare is None else bare)
    return found[1].lower(), words


def _holds(condition: _Condition, alias: str) -> bool:
    """Whether a Host line's patterns take the alias in; one with `!` keeps it out."""
    if condition is None:
        return False
    matched = False
    for pattern in condition:
        if glob.compiled(pattern.removeprefix("!")).fullmatch(alias):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _expanded(address: str, alias: str) -> str:
    return re.sub(r"%([%h])", lambda token: "%" if token[1] == "%" else alias, address)


def _shown(text: str) -> str:
    return ascii(text[:60])
