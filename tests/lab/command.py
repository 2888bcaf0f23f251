"""Running a command of this machine and reporting its failure in one readable error."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class LabError(Exception):
    """The lab could not do what was asked; the text is for the person who runs it."""


def run(
    argv: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    within: float = 60.0,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run ``argv`` and return its standard output.

    Raises:
        LabError: it failed or took longer than ``within`` seconds; the text holds the last lines
            that it wrote.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, timeout=within, env=env, check=False
        )
    except FileNotFoundError as error:
        raise LabError(
            f"{words[0]}: not installed here; the lab needs the packages of tests/lab/packages.txt"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{shlex.join(words)}: not done after {within:g} s") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-12:]
        raise LabError(
            f"{shlex.join(words)}: exit status {done.returncode}\n  " + "\n  ".join(said)
        )
    return done.stdout.decode(errors="replace")


def contained(argv: Sequence[str | Path]) -> list[str | Path]:
    """``argv`` as a command that dies with its caller, whole: children and mounts included.

    For long work that must not go on when the lab is killed in the middle of it.
    """
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["setpriv", "--pdeathsig", "KILL", *alone, *argv]
