"""Command line, environment and configuration files, merged as K3s merges them.

Weakest first: environment, ``config.yaml``, ``config.yaml.d/*.yaml`` in alphabetical order (the
last one wins, ``key+:`` appends), command line. Unlike a K3s server, which skips an unknown key
of a file, the stand-in always fails: an installer's spelling mistake must not go unnoticed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .errors import UsageError
from .flags import AGENT, BOOLEAN, ENVIRONMENT, REPEATABLE, SERVER, SHORT

CONFIG_FILE = "/etc/rancher/k3s/config.yaml"


@dataclass(frozen=True)
class Options:
    """The merged settings: every flag that was given, each with all its values."""

    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return bool(self.given.get(name))

    def text(self, name: str, default: str = "") -> str:
        """The flag's last value."""
        return self.given[name][-1] if name in self else default

    def many(self, name: str) -> list[str]:
        """The flag's values, those with commas taken apart."""
        parts = ",".join(self.given.get(name, ())).split(",")
        return [part.strip() for part in parts if part.strip()]

    def flag(self, name: str) -> bool:
        """A boolean flag's value."""
        return self.text(name, "false").lower() in ("true", "1", "t")


def load(command: str, argv: Sequence[str], environment: Mapping[str, str]) -> Options:
    """The options of ``k3s server`` or ``k3s agent``.

    Raises:
        UsageError: an unknown flag or key, a missing value, a file that is not what it should be.
    """
    known = SERVER if command == "server" else AGENT
    line = parse(argv, known)
    merged: dict[str, list[str]] = {
        name: [environment[variable]]
        for name, variable in ENVIRONMENT.items()
        if name in known and environment.get(variable)
    }
    where = line.get("config", [environment.get("K3S_CONFIG_FILE") or CONFIG_FILE])[-1]
    merged.update(read_files(Path(where), known))
    merged.update(line)
    return Options({name: tuple(values) for name, values in merged.items()})


def parse(argv: Sequence[str], known: frozenset[str]) -> dict[str, list[str]]:
    """Flags of a command line, each with its values in order."""
    found: dict[str, list[str]] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            raise UsageError(f"standin: unexpected argument {word!r}")
        name, has_value, value = word.lstrip("-").partition("=")
        name = SHORT.get(name, name)
        if name not in known:
            raise UsageError(f"Incorrect Usage: flag provided but not defined: -{name}")
        if not has_value:
            if name in BOOLEAN:
                value = "true"
            elif words:
                value = words.pop(0)
            else:
                raise UsageError(f"Incorrect Usage: flag needs an argument: -{name}")
        _add(found, name, value)
    return found


def read_files(path: Path, known: frozenset[str]) -> dict[str, list[str]]:
    """The values of the configuration file and the files of the folder beside it."""
    files = [path] if path.exists() else []
    folder = path.with_name(path.name + ".d")
    files += sorted(file for file in folder.glob("*.yaml") if file.is_file())
    merged: dict[str, list[str]] = {}
    for file in files:
        for key, value in _mapping(file).items():
            name, appends = key.removesuffix("+"), key.endswith("+")
            if name not in known:
                raise UsageError(f"{file}: flag provided but not defined: -{name}")
            values = [_word(item) for item in (value if isinstance(value, list) else [value])]
            before = merged.get(name, []) if appends else []
            merged[name] = before + values if name in REPEATABLE else values[-1:]
    return merged


def _mapping(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(file.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"failed to read {file}: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise UsageError(f"failed to read {file}: not a mapping")
    return loaded


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _add(found: dict[str, list[str]], name: str, value: str) -> None:
    if name in REPEATABLE:
        found.setdefault(name, []).append(value)
    else:
        found[name] = [value]


def token_of(options: Options, name: str = "token") -> str:
    """A token given as itself or by a file; empty when there is none.

    Raises:
        UsageError: the file cannot be read.
    """
    if name in options:
        return options.text(name)
    if (file := options.text(f"{name}-file")) == "":
        return ""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error


def node_name(options: Options) -> str:
    """The node's name: as given, or the host's."""
    return (options.text("node-name") or os.uname().nodename).lower()
