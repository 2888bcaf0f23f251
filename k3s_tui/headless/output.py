"""Standard output during a run, which must not die with whoever reads it."""

from __future__ import annotations

import errno
import os
import sys
from typing import TextIO


class Output:
    """Writes at once, and falls silent when it cannot: a run that changes hosts goes on.

    Nobody reads any more after `| head`, after a pager was left, or when the terminal is gone; a
    disk may be full.  The recording has everything.  `told` is said once on standard error.
    """

    def __init__(self, stream: TextIO, *, told: bool = True) -> None:
        self._stream = stream
        self._told = told
        self.lost = False

    def write(self, text: str) -> int:
        if not self.lost:
            try:
                self._stream.write(text)
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        if not self.lost:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def say(self, text: str) -> None:
        """One line, for all to see now: a pipe is not to hold it back."""
        self.write(f"{text}\n")
        self.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        return self._stream.encoding

    def _lose(self, error: OSError) -> None:
        self.lost = True
        silence(self._stream)
        if self._told:
            reason = "nobody reads it" if error.errno == errno.EPIPE else error.strerror
            complain(f"standard output cannot be written ({reason}); the run goes on")


def silence(stream: TextIO) -> None:
    """Lead a stream nowhere, so that what is still buffered fails no more, not even at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def complain(text: str) -> None:
    """One line on standard error, if there is somebody to see it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)
