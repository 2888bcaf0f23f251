from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from k3s_tui.core import events
from k3s_tui.core.events import AnyEvent
from k3s_tui.headless.jsonl import JsonLines, events_schema
from tests.unit.headless.operator import REPOSITORY
from tests.unit.headless.recorded import HOSTILE, PLAN, RUN

COMMITTED = REPOSITORY / "docs" / "reference" / "events.schema.json"
SCHEMA: dict[str, Any] = json.loads(COMMITTED.read_text())
EVERY_KIND: tuple[type[AnyEvent], ...] = get_args(AnyEvent)


def line(event: AnyEvent) -> str:
    said: list[str] = []
    printer = JsonLines(said.append)
    printer(event)
    printer.close()
    (only,) = said
    return only


def test_the_committed_schema_is_the_present_one() -> None:
    assert events_schema() == SCHEMA, "k3s-tui schema --events > docs/reference/events.schema.json"


def test_every_type_is_recorded_here() -> None:
    assert {type(event) for event in (*PLAN, *RUN)} == set(EVERY_KIND)


@pytest.mark.parametrize("event", [*PLAN, *RUN], ids=lambda event: type(event).__name__)
def test_events_come_back_as_they_were(event: AnyEvent) -> None:
    text = line(event)
    assert "\n" not in text
    assert msgspec.json.decode(text, type=AnyEvent) == event
    assert_valid(json.loads(text))


def assert_valid(document: dict[str, Any]) -> None:
    """As much of JSON schema as ours uses: one object per type, with its own fields."""
    names = SCHEMA["discriminator"]["mapping"]
    wanted = SCHEMA["$defs"][names[document["type"]].rsplit("/", 1)[1]]
    assert set(wanted["required"]) <= set(document)
    assert set(document) <= set(wanted["properties"])
    for key, value in document.items():
        assert_fits(value, wanted["properties"][key], key)


def assert_fits(value: Any, wanted: dict[str, Any], key: str) -> None:
    kinds: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
    }
    if "type" in wanted:
        assert isinstance(value, kinds[wanted["type"]]), key
    if "enum" in wanted:
        assert value in wanted["enum"], key
    assert {"type", "enum"} & set(wanted), f"{key}: a form that this test does not know"


@pytest.mark.parametrize(
    "spoiled",
    [
        {"type": "no-such-event"},
        {"type": "line", "step": "a", "host": "b"},
        {"type": "step-done", "step": "a", "host": "b", "outcome": "great"},
    ],
)
def test_what_is_no_event(spoiled: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(spoiled), type=AnyEvent)
    with pytest.raises((AssertionError, KeyError)):
        assert_valid(spoiled)


def test_foreign_text_stays_one_line() -> None:
    event = events.Line(step="a", host="b", text=f"{HOSTILE}\u2028\\x1b\n\x00")
    assert msgspec.json.decode(line(event), type=AnyEvent) == event
    assert len(line(event).split("\n")) == 1
