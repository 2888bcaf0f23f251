"""One event per line, for programs.  Additions do not raise the schema's number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from k3s_tui.core.events import AnyEvent


class JsonLines:
    """Says every event as one JSON object."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._encoder = msgspec.json.Encoder()

    def __call__(self, event: AnyEvent) -> None:
        self._say(self._encoder.encode(event).decode())

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
