"""The demo: the wizard over a recording of a real run, without hosts, network or privilege."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from msgspec.structs import replace

from k3s_tui.core.contract import Host, Probe, Step
from k3s_tui.core.errors import Exit, Refused
from k3s_tui.core.events import AnyEvent, Line, Planned, RunDone, RunStarted, StepDone
from k3s_tui.engine.plan import Item, Plan
from k3s_tui.procedure.history import replay
from k3s_tui.profile.model import Profile
from k3s_tui.tui.controller import Stage
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.progress import Progress
from k3s_tui.tui.widgets.log_buffer import LogBuffer

DEMO = files("k3s_tui") / "demo"
"""`how-to.toml`, and `how-to.jsonl`: what a run of it said in the lab, over a stand-in K3s."""

NOTE = N_("DEMO: a recording, no hosts")


def recorded() -> list[AnyEvent]:
    """The events of the recording that is part of the program."""
    return list(replay(Path(str(DEMO / "how-to.jsonl"))))


class Recorded:
    """Keeps the promises of a backend, and does nothing."""

    def __init__(self, events: Sequence[AnyEvent], speed: float = 1.0) -> None:
        self._events = events
        self._speed = speed

    @property
    def note(self) -> str:
        return _(NOTE)

    async def prepare(self, draft: Draft) -> Profile:
        return draft.checked.profile

    async def prover(self, draft: Draft) -> None:
        return None

    async def prober(self, draft: Draft) -> None:
        """A recording has no hosts."""

    async def plan(self, profile: Profile, *, allow_restart: bool) -> Plan:
        """The plan as it was recorded, whatever the profile says now."""
        items = (
            Item(
                Step(event.step, Host(event.host), _Seen()),
                event.verdict,
                event.summary,
                event.diff,
                event.hint,
                event.warning,
            )
            for event in self._events
            if isinstance(event, Planned)
        )
        return Plan({item.step: item for item in items})

    def start(self, profile: Profile, reviewed: Plan, *, allow_restart: bool) -> Replay:
        run = Replay(self._events, self._speed)
        run.start()
        return run

    def verify(self, profile: Profile) -> Replay:
        """The end of the recording: a whole run has verified, too."""
        run = Replay(list(_verification(self._events)), self._speed)
        run.start()
        return run


class Replay:
    """A recording that goes on as the run did, `speed` times as fast."""

    def __init__(self, events: Sequence[AnyEvent], speed: float = 1.0) -> None:
        self.progress = Progress()
        self.log = LogBuffer()
        self.path: Path | None = None
        self.error: Exception | None = None
        self.stopping: Stage = ""
        self._events = events
        self._speed = speed
        self._at = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        self._task = asyncio.create_task(self._play())

    def stop(self) -> bool:
        """As a run does: gently, what is under way ends as it did, and nothing else begins."""
        if self._task is None or self._task.done():
            return False
        self.stopping = "now" if self.stopping or not self.progress.active else "gently"
        if self.stopping == "now":
            self._task.cancel()
            for step in self.progress.active:
                done = StepDone(step=step.id, host=step.host, outcome="cancelled")
                self._read(replace(done, t=time.time()))
            self._read(self._interrupted())
        return True

    async def wait(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    async def journal(self, host: str) -> str:
        return ""

    def save_report(self) -> Path:
        raise Refused(_("there is no report on a recording"))

    def forward(self, count: int) -> None:
        """Show the next events at once."""
        for event in self._events[self._at : self._at + count]:
            self._at += 1
            self._read(event)

    async def _play(self) -> None:
        began, first = time.time(), self._events[0].t
        for event in self._events:
            due = began + (event.t - first) / self._speed
            if self._is_left_out(event):
                continue
            if due > time.time():
                await asyncio.sleep(due - time.time())
            if self._is_left_out(event):  # told to stop meanwhile
                continue
            self._read(replace(event, t=time.time()))
            if self.stopping and not self.progress.active:
                self._read(self._interrupted())
                return

    def _is_left_out(self, event: AnyEvent) -> bool:
        """Whether it is of something that does not begin any more."""
        if not self.stopping:
            return False
        return getattr(event, "step", "") not in {step.id for step in self.progress.active}

    def _interrupted(self) -> RunDone:
        """What has become of the steps so far."""
        states = Counter(step.state for step in self.progress.steps.values())
        return RunDone(
            t=time.time(),
            exit=Exit.INTERRUPTED,
            ok=states["ok"],
            changed=states["changed"],
            failed=states["failed"],
            skipped=states.total() - states["ok"] - states["changed"] - states["failed"],
            error="interrupted",
        )

    def _read(self, event: AnyEvent) -> None:
        self.progress(event)
        if isinstance(event, Line):
            self.log.add(event)


def _verification(events: Sequence[AnyEvent]) -> Iterator[AnyEvent]:
    proofs = [e for e in events if "/verification/" in getattr(e, "step", "")]
    began = proofs[0].t if proofs else events[-1].t
    for event in events:
        if isinstance(event, RunStarted):
            yield replace(event, verb="verify", t=began)
        elif isinstance(event, RunDone):
            ok = sum(isinstance(e, StepDone) for e in proofs)
            yield replace(event, ok=ok, changed=0)
        elif event in proofs:
            yield event


class _Seen:
    """The check of a step that nobody carries out."""

    def probe(self) -> Probe[None]:
        raise AssertionError("a recording is not looked at")

    def diff(self, now: None) -> None:
        """Nothing: what it was is in the plan."""
