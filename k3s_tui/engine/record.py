"""The recorder: numbers, times and redacts every event, writes it down and hands it on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec

from k3s_tui.core.events import AnyEvent, Line, RunDone, RunStarted
from k3s_tui.core.files import sync_folder
from k3s_tui.core.secret import Redactor
from k3s_tui.hosts.sanitize import sanitize_block

EVENTS = "events.jsonl"


class Recorder:
    """Is the `Emit` of a run.

    The file (0600, one JSON event per line) has an event before any reader has.  Readers are called
    in turn and must not block; one that fails (a closed pipe, a terminal that is gone) is left out
    from then on, because nobody's screen may end what is under way on the hosts.  Everything but
    lines is handed to the system at once: a line lost to a crash is a line, a step's end is what
    the operator looks for.  A power loss may take the last seconds of a run that was under way;
    that there was one, and how it ended, is durable.
    """

    def __init__(self, folder: Path | None, redact: Redactor) -> None:
        self._redact = redact
        self._seq = 0
        self._encoder = msgspec.json.Encoder()
        self._readers: list[Callable[[AnyEvent], None]] = []
        self._file: IO[bytes] | None = None
        self.failures: list[Exception] = []
        """Why a reader, or the file, was left out."""
        self.cut = ""
        """Why the file ends before the run does; '' as long as it does not."""
        self.path: Path | None = None
        if folder is not None:
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            self.path = folder / EVENTS
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(descriptor, "ab")
            sync_folder(folder)
            sync_folder(folder.parent)

    def subscribe(self, reader: Callable[[AnyEvent], None]) -> None:
        self._readers.append(reader)

    def __call__(self, event: AnyEvent) -> None:
        self._seq += 1
        event = self._stamped(event)
        for reader in (self._write, *self._readers):
            try:
                reader(event)
            except (OSError, ValueError) as error:
                self._leave_out(reader, error)

    def _write(self, event: AnyEvent) -> None:
        if self._file is not None:
            self._file.write(self._encoder.encode(event) + b"\n")
            if not isinstance(event, Line):
                self._file.flush()
            if isinstance(event, (RunStarted, RunDone)):
                os.fsync(self._file.fileno())

    def _leave_out(self, reader: Callable[[AnyEvent], None], error: Exception) -> None:
        if reader in self._readers:
            self._readers.remove(reader)
        else:
            self._file = None
            self.cut = (isinstance(error, OSError) and error.strerror) or str(error)
        self.failures.append(error)

    def _stamped(self, event: AnyEvent) -> AnyEvent:
        fields: dict[str, Any] = {
            # Whatever way a text came, it is harmless and without secrets from here on.
            name: self._redact(sanitize_block(value))
            for name in event.__struct_fields__
            if isinstance(value := getattr(event, name), str) and value
        }
        return msgspec.structs.replace(event, **fields, seq=self._seq, t=time.time())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
