"""Files on the laptop are written in full or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def at_home(path: str | Path) -> Path:
    """`path` with `~` expanded.  Unlike pathlib's, the home of nobody is a file that is not there:
    it stays `~nobody/...`.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content`, durably; after a crash it holds the old or the new one.

    The temporary file is made in the same folder with nobody else's access, so that a secret is
    never readable for others, not even for a moment.  A symlink is followed, not replaced.
    Raises OSError; the folder must exist.
    """
    target = Path(os.path.realpath(path))
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a new or renamed file is there only once they are."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
