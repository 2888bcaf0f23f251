"""The terminal, which may go away at any moment."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TextIO, cast

from textual.drivers.linux_driver import LinuxDriver


class Lasting:
    """A file for output: what nobody gets any more is dropped.

    The thread in which Textual writes ends with the first error; what is written then waits for it,
    without end, and so does whoever would end the program.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()


class Terminal(LinuxDriver):
    """Textual's driver for Linux and macOS."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file = cast(Any, Lasting(cast(TextIO, self._file)))

    def _sigcont_application(self, *_: object) -> None:
        # It also comes with the hang-up of a terminal.  Textual would begin to read and to write a
        # second time, in threads that never end.
        if self._must_signal_resume:
            super()._sigcont_application()
