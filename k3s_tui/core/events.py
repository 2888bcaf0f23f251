"""The one spine of a run: what every front end, log file and recording is a fold over.

Events are frozen, numbered and timed.  They never hold a secret (texts are redacted before they
become events) nor a probed state.  The JSON form of each is one object with a `type`; its schema
is committed as `docs/reference/events.schema.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

import msgspec

SCHEMA = 1
"""Raised when a field changes its meaning or goes away; additions do not raise it."""

Outcome = Literal["ok", "changed", "failed", "skipped", "cancelled"]


_YEAR_10000 = 253_402_300_800
"""What no calendar shows any more; a recording may be torn or written by anybody."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=False):
    """`seq` counts from 1 within a run; `t` is seconds since the epoch.  The recorder sets both."""

    seq: int = 0
    t: Annotated[float, msgspec.Meta(ge=0, lt=_YEAR_10000)] = 0.0


class RunStarted(Event, frozen=True, kw_only=True, tag="run-started"):
    schema: int = SCHEMA
    tool: str
    run: str
    verb: str
    profile: str
    hosts: list[str]


class HostState(Event, frozen=True, kw_only=True, tag="host-state"):
    host: str
    state: Literal["connecting", "connected", "lost", "failed", "closed"]
    detail: str = ""


class Planned(Event, frozen=True, kw_only=True, tag="planned"):
    """One step of the plan.  `warning` is told, and does not stop."""

    step: str
    host: str
    verdict: Literal["ok", "change", "later", "problem"]
    summary: str = ""
    diff: str = ""
    warning: str = ""
    hint: str = ""


class StepStarted(Event, frozen=True, kw_only=True, tag="step-started"):
    step: str
    host: str


class Waiting(Event, frozen=True, kw_only=True, tag="waiting"):
    step: str
    host: str
    condition: str
    seen: str = ""


class Line(Event, frozen=True, kw_only=True, tag="line"):
    """One sanitized, redacted line that a host said."""

    step: str
    host: str
    text: str


class StepDone(Event, frozen=True, kw_only=True, tag="step-done"):
    step: str
    host: str
    outcome: Outcome
    seconds: float = 0.0
    summary: str = ""
    warning: str = ""
    error: str = ""
    hint: str = ""
    tail: str = ""


class Asked(Event, frozen=True, kw_only=True, tag="asked"):
    """A question to the operator; the answer itself is never recorded."""

    question: str
    kind: Literal["confirm", "secret", "host-key"]


class Answered(Event, frozen=True, kw_only=True, tag="answered"):
    question: str
    given: bool


class RunDone(Event, frozen=True, kw_only=True, tag="run-done"):
    exit: int
    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    error: str = ""
    hint: str = ""


AnyEvent: TypeAlias = (
    RunStarted
    | HostState
    | Planned
    | StepStarted
    | Waiting
    | Line
    | StepDone
    | Asked
    | Answered
    | RunDone
)

Emit: TypeAlias = Callable[[AnyEvent], None]
"""Takes an event; never blocks and never raises for a slow reader."""
