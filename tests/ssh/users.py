"""Throwaway accounts with real sudo rules, removed again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUDOERS = Path("/etc/sudoers.d")


@contextmanager
def throwaway_user(
    kind: str, *, password: str = "", sudoers: str = "", shell: str = "/bin/bash"
) -> Iterator[str]:
    """An account named after `kind`, with sudoers lines in which {user} is its name."""
    name = f"k3stui-{kind}-{os.getpid()}"
    rule = SUDOERS / name
    subprocess.run(["useradd", "-m", "-s", shell, "-p", "*", name], check=True)
    try:
        if password:
            subprocess.run(["chpasswd"], input=f"{name}:{password}", text=True, check=True)
        if sudoers:
            rule.touch(mode=0o440)
            rule.write_text(sudoers.format(user=name) + "\n")
            subprocess.run(["visudo", "-cqf", str(rule)], check=True)
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            rule.unlink()
        subprocess.run(["userdel", "-rf", name], check=True, capture_output=True)
