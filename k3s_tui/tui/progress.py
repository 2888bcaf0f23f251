"""Where a run is: a fold over its events, for screens to show and to come back to."""

from __future__ import annotations

from collections.abc import Sequence
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
Phase: TypeAlias = Literal["connecting", "planned", "running", "verifying", "ended"]

ENDED: frozenset[State] = frozenset({"ok", "changed", "failed", "skipped", "cancelled"})
GOOD: frozenset[State] = frozenset({"ok", "changed"})
STALLED_AFTER = 30.0
"""Seconds without a word after which a step is said to be silent."""

CHAPTERS = (
    "preflight",
    "datastore",
    "installation",
    "servers",
    "loadbalancer",
    "agents",
    "kubeconfig",
    "verification",
)
"""In the order of the procedure; one that is not among them comes last."""


@dataclass
class StepView:
    """One step as a screen shows it.  Times are seconds since the epoch, 0 when not yet."""

    id: str
    host: str
    state: State = "pending"
    summary: str = ""
    said: str = ""
    """What its check said of what it found right."""
    diff: str = ""
    warning: str = ""
    waits: str = ""
    error: str = ""
    hint: str = ""
    tail: str = ""
    began: float = 0.0
    heard: float = 0.0
    seconds: float = 0.0
    work: bool = True
    """Whether there is, or may be, something to do: not so where the plan found it as wanted."""

    @property
    def about(self) -> str:
        """The host that it is about; another one may be asked, as for a node's state."""
        return self.id.partition("/")[0]

    @property
    def chapter(self) -> str:
        return self.id.split("/")[1] if "/" in self.id else ""

    @property
    def what(self) -> str:
        return self.id.split("/", 2)[-1]

    @property
    def active(self) -> bool:
        return self.state in ("running", "waiting")

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass
class HostView:
    """One host: how it is connected, and how far its steps are.

    Those that the plan found as wanted are not counted: they are no work.  `done` ended well,
    `left` were skipped or cancelled.
    """

    name: str
    connection: str = ""
    detail: str = ""
    steps: int = 0
    done: int = 0
    failed: int = 0
    left: int = 0
    heard: float = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more will be done on it, as far as is known."""
        return self.done + self.failed + self.left >= self.steps


@dataclass(frozen=True)
class ChapterView:
    """The steps of one chapter, in the order of the plan."""

    id: str
    steps: Sequence[StepView]

    @property
    def done(self) -> int:
        return sum(step.ended for step in self.steps)

    @property
    def failed(self) -> int:
        return sum(step.state == "failed" for step in self.steps)

    @property
    def active(self) -> bool:
        return any(step.active for step in self.steps)

    @property
    def finished(self) -> bool:
        """Whether all of it ended well: there is nothing to see any more."""
        return all(step.state in GOOD for step in self.steps)

    @property
    def state(self) -> State:
        """What tells most of it: a failure, then what is under way, then what did not happen."""
        states = {step.state for step in self.steps}
        if self.active:
            return "failed" if "failed" in states else "running"
        for state in ("failed", "problem", "cancelled", "skipped"):
            if state in states:
                return state
        if self.finished:
            return "changed" if "changed" in states else "ok"
        return "pending"


@dataclass
class Progress:
    """Feed it every event in turn.  `touched` holds the steps to draw anew; take it and clear it.

    `now` is the time of the last event.
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
                host.connection, host.detail, host.heard = event.state, event.detail, event.t
            case events.Planned():
                step = self._step(event.step, event.host, work=event.verdict != "ok")
                step.state = "pending" if event.verdict == "ok" else event.verdict
                step.summary, step.diff = event.summary, event.diff
                step.warning, step.hint = event.warning, event.hint
            case events.StepStarted():
                step = self._step(event.step, event.host)
                step.state, step.began, step.heard = "running", event.t, event.t
                self._host(event.host).heard = event.t
            case events.Waiting():
                step = self._step(event.step, event.host)
                step.state, step.heard = "waiting", event.t
                step.waits = event.condition + (f" ({event.seen})" if event.seen else "")
            case events.Line():
                self._line(event)
            case events.StepDone():
                self._end(event)
            case events.RunDone():
                self.done = event

    def _line(self, event: events.Line) -> None:
        self._host(event.host).heard = event.t
        step = self.steps.get(event.step)
        if step is None:
            return
        step.heard = event.t

    def _end(self, event: events.StepDone) -> None:
        step = self._step(event.step, event.host)
        host = self._host(event.host)
        if not step.ended:
            host.done += step.work and event.outcome in GOOD
            host.failed += event.outcome == "failed"
            host.left += event.outcome in ("skipped", "cancelled")
        host.heard = event.t
        step.state, step.seconds, step.waits = event.outcome, event.seconds, ""
        step.summary = event.summary or step.summary
        step.said = event.summary if event.outcome == "ok" else ""
        # A warning of the plan that still holds has its hint there.
        step.hint = event.hint or (
            step.hint if event.warning and event.warning == step.warning else ""
        )
        step.warning, step.error, step.tail = event.warning, event.error, event.tail

    def _step(self, id: str, host: str, *, work: bool = True) -> StepView:
        if id not in self.steps:
            self.steps[id] = StepView(id, host, work=work)
            self._host(host).steps += work
        self.touched.add(id)
        return self.steps[id]

    def _host(self, name: str) -> HostView:
        return self.hosts.setdefault(name, HostView(name))

    @property
    def phase(self) -> Phase:
        """How far the whole is."""
        if self.done is not None:
            return "ended"
        if not self.steps:
            return "connecting"
        begun = [step for step in self.steps.values() if step.began]
        if not begun:
            return "planned"
        verifying = any(step.chapter == "verification" for step in begun)
        return "verifying" if verifying else "running"

    @property
    def chapters(self) -> list[ChapterView]:
        """Those that have steps, in the order of the procedure."""
        found: dict[str, list[StepView]] = {}
        for step in self.steps.values():
            found.setdefault(step.chapter, []).append(step)
        return [ChapterView(id, found[id]) for id in sorted(found, key=chapter_rank)]

    @property
    def active(self) -> list[StepView]:
        """Those under way, the longest first."""
        active = [step for step in self.steps.values() if step.active]
        return sorted(active, key=lambda step: step.began)

    @property
    def failures(self) -> list[StepView]:
        """Steps that failed by themselves: not those that only needed one of them."""
        return [step for step in self.steps.values() if step.state == "failed"]

    @property
    def warnings(self) -> list[StepView]:
        return [step for step in self.steps.values() if step.warning]

    @property
    def ended(self) -> int:
        return sum(step.ended for step in self.steps.values())

    def silent(self, now: float) -> list[StepView]:
        """Steps of which nothing was heard for long, the most silent first.

        One that says nothing of what it waits for, on a host that another step talks from, may
        only wait for its turn there: that is not silence.
        """
        return sorted(
            (step for step in self.active if now - self._last_word(step) >= STALLED_AFTER),
            key=self._last_word,
        )

    def _last_word(self, step: StepView) -> float:
        if step.waits:
            return step.heard
        return max(step.heard, *(s.heard for s in self.active if s.host == step.host))


def chapter_rank(chapter: str) -> int:
    """Where a chapter stands in the procedure; unknown ones share the last place."""
    return CHAPTERS.index(chapter) if chapter in CHAPTERS else len(CHAPTERS)
