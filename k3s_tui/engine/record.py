"""The recorder: numbers, times and redacts every event, writes it down and hands it on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec

from k3s_tui.core.events import AnyEvent, Line
from k3s_tui.core.secret import Redactor

EVENTS = "events.jsonl"


class Recorder:
    """Is the `Emit` of a run.

    The file (0600, one JSON event per line) has an event before any reader has; readers are called
    in turn and must not block.  Everything but lines is flushed to the disk at once: a line lost
    to a power cut is a line, a step's end is what the operator looks for.
    """

    def __init__(self, folder: Path | None, redact: Redactor) -> None:
        self._redact = redact
        self._seq = 0
        self._encoder = msgspec.json.Encoder()
        self._readers: list[Callable[[AnyEvent], None]] = []
        self._file: IO[bytes] | None = None
        self.path: Path | None = None
        if folder is not None:
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            self.path = folder / EVENTS
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(descriptor, "ab")

    def subscribe(self, reader: Callable[[AnyEvent], None]) -> None:
        self._readers.append(reader)

    def __call__(self, event: AnyEvent) -> None:
        self._seq += 1
        event = self._stamped(event)
        if self._file is not None:
            self._file.write(self._encoder.encode(event) + b"\n")
            if not isinstance(event, Line):
                self._file.flush()
        for reader in self._readers:
            reader(event)

    def _stamped(self, event: AnyEvent) -> AnyEvent:
        fields: dict[str, Any] = {
            name: self._redact(value)
            for name in event.__struct_fields__
            if isinstance(value := getattr(event, name), str) and value
        }
        return msgspec.structs.replace(event, **fields, seq=self._seq, t=time.time())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
