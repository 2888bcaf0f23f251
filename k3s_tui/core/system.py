"""Between us and the operating system: what it keeps for us, what it refuses, and our own bugs."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Iterator

from k3s_tui.core.errors import OperatorError

_HINTS = {
    errno.ENOSPC: "make room on that file system, then run again",
    errno.EDQUOT: "make room in that quota, then run again",
    errno.EROFS: "it lies on a file system that is mounted read-only",
    errno.EACCES: "look at its owner and mode, and at those of the folders above it",
    errno.EPERM: "look at its owner and mode, and at those of the folders above it",
    errno.ENOTDIR: "a part of that path is a file",
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
    errno.EIO: "",
    errno.EPIPE: "",
}


def explained(error: BaseException) -> OperatorError | None:
    """The error in words; None for a bug."""
    if isinstance(error, OperatorError):
        return error
    if not isinstance(error, OSError) or error.errno not in _HINTS:
        return None
    what = f"{error.filename}: " if error.filename else ""
    return OperatorError(f"{what}{error.strerror}", hint=_HINTS[error.errno])


def keep_to_ourselves() -> None:
    """From now on what this process leaves on disk is for its user alone, and holds no memory.

    A core file would hold every secret that is known at the moment of a crash.
    """
    import resource

    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def trace(error: BaseException) -> str:
    """Where a bug is, and what led to it.

    It goes without values of variables, and without what the errors say: either may be a secret.
    """
    return "".join(_trace(error))


def _trace(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _trace(before)
        yield "then\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}\n"
    for inner in getattr(error, "exceptions", ()):
        yield from _trace(inner)
