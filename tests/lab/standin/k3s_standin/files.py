"""Writing files with the modes that K3s gives them."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file and its folders, never readable more widely than ``mode``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    new.touch(mode)
    new.chmod(mode)
    new.write_bytes(content)
    new.replace(path)


def link(path: Path, target: str) -> None:
    """Make ``path`` a symbolic link to ``target``, in place of what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
