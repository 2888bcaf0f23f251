"""k3s-tui as an operator on the lab's network runs it: the command, its profile, its folders."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import paths, profile
from .lab import Lab


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of ``--json``."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    def of(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """The events of one type that have these values."""
        return [
            event
            for event in self.events
            if event["type"] == kind and fields.items() <= event.items()
        ]

    def steps(self, outcome: str) -> set[str]:
        """Ids of the steps that ended so."""
        return {event["step"] for event in self.of("step-done", outcome=outcome)}

    def __str__(self) -> str:
        """What failed stands first: it may be far from the end."""
        failed = self.of("step-done", outcome="failed") if self.status else []
        told = "".join(f"{json.dumps(event, indent=1)}\n" for event in failed)
        return f"exit {self.status}\n{told}{self.out[-6000:]}\n{self.err[-3000:]}"


class Product:
    """One operator's folder with a profile, its neighbours, and a home of their own."""

    def __init__(self, lab: Lab, folder: Path, **settings: Any) -> None:
        self.lab = lab
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.profile = profile.write(folder, lab, **settings)
        self.passphrase = profile.write_passphrase(folder)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "K3S_TUI_PASSPHRASE_FILE": str(self.passphrase),
            "SSH_AUTH_SOCK": "",
            "NO_COLOR": "1",
        }

    def command(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "k3s_tui", *map(str, words)]

    def run(self, *words: str | Path, within: float = 600.0) -> Done:
        """Run ``k3s-tui WORDS`` in the lab's network."""
        done = self.lab.run(
            self.command(*words), env=self.environment, cwd=paths.REPOSITORY, within=within
        )
        ended = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
        print(ended)  # shown when the test fails, in full
        return ended

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start ``k3s-tui WORDS``; signals reach it."""
        return self.lab.popen(self.command(*words), env=self.environment, cwd=paths.REPOSITORY)

    def init(self) -> Done:
        """Make the secrets."""
        return self.run("secret", "init", self.profile)

    def apply(self, *words: str) -> Done:
        return self.run("apply", self.profile, "--yes", "--json", *words)

    def plan(self, *words: str) -> Done:
        return self.run("plan", self.profile, "--json", *words)

    def secrets(self) -> Mapping[str, str]:
        """The store's values, read as the operator would."""
        keys = self.run("secret", "list", self.profile).out.split()
        return {key: self.run("secret", "get", self.profile, key).out.rstrip() for key in keys}

    def recordings(self) -> Iterator[Path]:
        yield from self.home.rglob("events.jsonl")
