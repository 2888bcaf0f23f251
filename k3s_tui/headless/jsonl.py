"""One event per line, for programs.  Additions do not raise the schema's number."""

from __future__ import annotations

import sys
from typing import IO, Any

import msgspec

from k3s_tui.core.events import AnyEvent


class JsonLines:
    """Prints every event as one JSON object on standard output."""

    def __init__(self, out: IO[str] | None = None) -> None:
        self._out = out or sys.stdout
        self._encoder = msgspec.json.Encoder()

    def __call__(self, event: AnyEvent) -> None:
        print(self._encoder.encode(event).decode(), file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is held back."""


def events_schema() -> dict[str, Any]:
    """The JSON schema of one line, as committed in docs/reference/events.schema.json."""
    schema = msgspec.json.schema(AnyEvent)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One event of a k3s-tui run",
        **schema,
    }
