"""Where a run is: a fold over its events, for screens to show and to come back to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from k3s_tui.core import events
from k3s_tui.core.events import AnyEvent

State: TypeAlias = Literal[
    "pending",
    "change",
    "later",
    "problem",
    "running",
    "waiting",
    "ok",
    "changed",
    "failed",
    "skipped",
    "cancelled",
]
ENDED: frozenset[State] = frozenset({"ok", "changed", "failed", "skipped", "cancelled"})
STALLED_AFTER = 30.0
"""Seconds without a word after which a step is said to be silent."""


@dataclass
class StepView:
    """One step as a screen shows it.  Times are seconds since the epoch, 0 when not yet."""

    id: str
    host: str
    state: State = "pending"
    summary: str = ""
    diff: str = ""
    warning: str = ""
    waits: str = ""
    error: str = ""
    hint: str = ""
    tail: str = ""
    began: float = 0.0
    heard: float = 0.0
    seconds: float = 0.0

    @property
    def chapter(self) -> str:
        return self.id.split("/")[1] if self.id.count("/") > 1 else ""

    @property
    def what(self) -> str:
        return self.id.split("/", 2)[-1]

    @property
    def active(self) -> bool:
        return self.state in ("running", "waiting")

    def stalled(self, now: float) -> bool:
        """Whether nothing was heard of it for long."""
        return self.active and now - max(self.began, self.heard) >= STALLED_AFTER


@dataclass
class HostView:
    """One host: how it is connected, and how far its steps are."""

    name: str
    connection: str = ""
    detail: str = ""
    steps: int = 0
    done: int = 0
    failed: int = 0
    heard: float = 0.0


@dataclass
class Progress:
    """Feed it every event in turn.  `touched` holds the steps to draw anew; take it and clear it.

    `now` is the time of the last event, so that a recording shows what was shown then.
    """

    run: str = ""
    verb: str = ""
    began: float = 0.0
    now: float = 0.0
    steps: dict[str, StepView] = field(default_factory=dict)
    hosts: dict[str, HostView] = field(default_factory=dict)
    done: events.RunDone | None = None
    touched: set[str] = field(default_factory=set)

    def __call__(self, event: AnyEvent) -> None:
        self.now = event.t
        match event:
            case events.RunStarted():
                self.run, self.verb, self.began = event.run, event.verb, event.t
                self.hosts = {name: HostView(name) for name in event.hosts}
            case events.HostState():
                host = self._host(event.host)
                host.connection, host.detail = event.state, event.detail
            case events.Planned():
                step = self._step(event.step, event.host)
                step.state = "pending" if event.verdict == "ok" else event.verdict
                step.summary, step.diff = event.summary, event.diff
                step.warning, step.hint = event.warning, event.hint
            case events.StepStarted():
                step = self._step(event.step, event.host)
                step.state, step.began, step.heard = "running", event.t, event.t
                self._host(event.host).heard = event.t
            case events.Waiting():
                step = self._step(event.step, event.host)
                step.state = "waiting"
                step.waits = event.condition + (f" ({event.seen})" if event.seen else "")
            case events.Line():
                if event.step in self.steps:
                    self.steps[event.step].heard = event.t
                self._host(event.host).heard = event.t
            case events.StepDone():
                self._end(event)
            case events.RunDone():
                self.done = event

    def _end(self, event: events.StepDone) -> None:
        step = self._step(event.step, event.host)
        if step.state not in ENDED:
            host = self._host(event.host)
            host.done += 1
            host.failed += event.outcome == "failed"
        step.state, step.seconds, step.waits = event.outcome, event.seconds, ""
        step.summary = event.summary or step.summary
        step.warning, step.error = event.warning, event.error
        step.hint, step.tail = event.hint, event.tail

    def _step(self, id: str, host: str) -> StepView:
        if id not in self.steps:
            self.steps[id] = StepView(id, host)
            self._host(host).steps += 1
        self.touched.add(id)
        return self.steps[id]

    def _host(self, name: str) -> HostView:
        return self.hosts.setdefault(name, HostView(name))

    @property
    def active(self) -> list[StepView]:
        return [step for step in self.steps.values() if step.active]

    @property
    def failures(self) -> list[StepView]:
        """Steps that failed by themselves: not those that only needed one of them."""
        return [step for step in self.steps.values() if step.state == "failed"]

    @property
    def ended(self) -> int:
        return sum(step.state in ENDED for step in self.steps.values())
