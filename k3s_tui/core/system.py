"""What the operating system refuses is for the operator; every other OSError is a bug of ours."""

from __future__ import annotations

import errno

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
