"""Files that a library insists on, for a moment; and what a process that died has left of them."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "k3s-tui-scratch-"
_HELD = "held"
_UNLOCKED = "new"
_NEW = 60.0
"""Seconds in which a folder gets its lock, however busy the machine is."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that only its user can enter, gone with the context.

    It may hold a private key, so the next one removes what killed processes have left: those
    folders that nobody holds the lock of any more.  Raises OSError.
    """
    base = Path(tempfile.gettempdir())
    _sweep(base)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=base) as name:
        folder = Path(name)
        with (folder / _UNLOCKED).open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            # Only now under the name that others look at: a lock that is not held yet would tell
            # another process that this one has ended.
            (folder / _UNLOCKED).rename(folder / _HELD)
            yield folder


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and _left(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _left(folder: Path) -> bool:
    """Whether its process has ended: the kernel has dropped its lock then."""
    try:
        with (folder / _HELD).open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return abs(time.time() - folder.lstat().st_mtime) > _NEW
