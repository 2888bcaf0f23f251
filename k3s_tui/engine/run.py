"""The run: a sliding window over the graph.

A step starts when its needs are done, whatever else goes on.  One step at a time changes a host;
looking is free.  A failure stops what depends on it and nothing else.  Every change is looked at
again, and one that the plan did not announce is not made.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from k3s_tui.core.contract import Change, Host, Problem, Resource, Step
from k3s_tui.core.errors import Interrupted, Lost, OperatorError, StepFailed, TimedOut
from k3s_tui.core.events import Emit, Outcome, StepDone, StepStarted
from k3s_tui.engine.connection import Fleet
from k3s_tui.engine.hands import StepHands
from k3s_tui.engine.look import Lookout
from k3s_tui.engine.plan import Item, Plan, States, build, mends, says

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
"""Seconds between two looks at something that we wait for."""

_UNCONNECTED = "no connection to the host"
"""What a step waits for that has lost its host, in the words of its timeout."""

_LOSSES = 5
"""Lost connections that one step survives; a host that drops more is not one to go on with."""


@dataclass(frozen=True)
class Result:
    """How each step ended."""

    outcomes: Mapping[Step[Any], Outcome]
    interrupted: bool = False
    """Whether it was told to stop, even if everything had ended by then."""

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(self.outcomes.values())

    @property
    def succeeded(self) -> bool:
        return all(outcome in ("ok", "changed") for outcome in self.outcomes.values())


class Run:
    """One execution of a plan."""

    def __init__(self, plan: Plan, fleet: Fleet, lookout: Lookout, emit: Emit) -> None:
        self._plan = plan
        self._fleet = fleet
        self._lookout = lookout
        self._emit = emit
        self._states = States()
        self._outcomes: dict[Step[Any], Outcome] = {}
        self._done: dict[Step[Any], asyncio.Event] = {}
        self._changing: dict[Host, asyncio.Lock] = {}
        self._moved: set[Step[Any]] = set()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._bugs: list[Exception] = []

    async def execute(self) -> Result:
        """Run every step to its end.  Failures are outcomes.

        What no step may raise is a bug; it fails that step, lets the others end in peace, since
        they may be in the middle of a host, and is raised at the end.
        """
        self._done = {step: asyncio.Event() for step in self._plan.items}
        self._changing = {step.host: asyncio.Lock() for step in self._plan.items}
        self._tasks = [
            asyncio.create_task(self._follow(item)) for item in self._plan.items.values()
        ]
        try:
            await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._bugs:
            raise self._bugs[0]
        outcomes = {step: self._outcomes[step] for step in self._plan.items}
        return Result(outcomes, interrupted=self._stopping.is_set())

    def stop(self) -> None:
        """Once: start no more steps, let changes under way end.  Again: end those too."""
        if not self._stopping.is_set():
            self._stopping.set()
            return
        for task in self._tasks:
            task.cancel()

    async def _follow(self, item: Item) -> None:
        """One step, from its needs to its outcome."""
        step = item.step
        began = time.monotonic()
        try:
            for need in step.needs:
                await self._done[need].wait()
            began = time.monotonic()
            done = await self._decide(item)
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            done = StepDone(step=step.id, host=step.host.name, outcome="cancelled")
        except OperatorError as error:
            outcome: Outcome = "cancelled" if isinstance(error, Interrupted) else "failed"
            done = StepDone(
                step=step.id,
                host=step.host.name,
                outcome=outcome,
                seconds=time.monotonic() - began,
                error=error.text,
                hint=error.hint,
                tail=getattr(error, "tail", ""),
            )
        except Exception as error:
            self._bugs.append(error)
            done = StepDone(
                step=step.id,
                host=step.host.name,
                outcome="failed",
                error=f"a bug in k3s-tui ({type(error).__name__})",
            )
        self._outcomes[step] = done.outcome
        self._emit(done)
        self._done[step].set()

    async def _decide(self, item: Item) -> StepDone:
        step = item.step
        host = step.host.name
        outcomes = {need: self._outcomes[need] for need in step.needs}
        broken = [need.id for need, o in outcomes.items() if o in ("failed", "skipped")]
        if broken:
            error = f"needs {', '.join(broken)}"
            return StepDone(step=step.id, host=host, outcome="skipped", error=error)
        if self._stopping.is_set() or "cancelled" in outcomes.values():
            return StepDone(step=step.id, host=host, outcome="cancelled")
        if item.verdict == "ok" and not self._moved.intersection(step.needs):
            # Nothing that it rests on has moved since the plan looked.
            self._states.put(step, item.state)
            return StepDone(step=step.id, host=host, outcome="ok", warning=item.warning)
        began = time.monotonic()
        self._emit(StepStarted(step=step.id, host=host))
        ended = await self._ensure(item)
        if ended.changed or ended.state != item.state or not ended.mends:
            # What a check sees says nothing of what else has moved beneath it.
            self._moved.add(step)
        self._states.put(step, ended.state)
        return StepDone(
            step=step.id,
            host=host,
            outcome="changed" if ended.changed else "ok",
            seconds=time.monotonic() - began,
            summary=ended.changed or ended.said,
            warning=ended.warning.text if ended.warning else "",
            hint=ended.warning.hint if ended.warning else "",
        )

    async def _ensure(self, item: Item) -> _Ended:
        """Look, mend, look again, within the step's time."""
        wait = _Wait()
        try:
            async with asyncio.timeout(item.step.within) as deadline:
                return await self._converge(item, wait, deadline)
        except TimeoutError:
            raise TimedOut(
                f"not done within {item.step.within:.0f} s: {wait.condition}",
                hint=wait.hint,
                host=item.step.host.name,
            ) from None

    async def _converge(self, item: Item, wait: _Wait, deadline: asyncio.Timeout) -> _Ended:
        step = item.step
        check = build(step, self._states)
        connection = self._fleet[step.host]
        begun = mended = ""
        losses = 0
        hands: StepHands | None = None
        while True:
            wait.at = _UNCONNECTED
            transport = await connection.ready()
            wait.at = "waiting"
            # One for each connection: it remembers what it has said that it waits for.
            hands = hands or StepHands(transport, step.id, self._emit)
            try:
                now = await self._lookout.look(step, check)
                found = self._lookout.judge(step, check, now)
                if found is None or (isinstance(found, Problem) and found.warning):
                    # A change whose end we did not see, because the connection went, is one too.
                    said = "" if found else says(check, now)
                    return _Ended(now, begun, found, mends(check), said)
                if isinstance(found, Problem):
                    await wait.a_while(found, hands, self._stopping)
                    continue
                self._permit(item, found, mended)
                begun = found.summary
                wait.at = f"still at it: {found.summary}"
                async with _Turn(self._changing[step.host], deadline):
                    if self._stopping.is_set():
                        raise Interrupted("stopped before it began")
                    # What makes a change possible is that the check is a resource: the contract.
                    await cast("Resource[Any]", check).apply(hands, found)
                mended = found.summary
            except Lost:
                losses += 1
                if losses > _LOSSES:
                    raise
                wait.at = _UNCONNECTED  # another step of the host may be connecting already
                await connection.lose(transport)
                hands = None

    def _permit(self, item: Item, found: Change[Any], mended: str) -> None:
        if mended:
            raise StepFailed(
                f"still not as wanted after the change: {found.summary}",
                tail=found.diff,
                host=item.step.host.name,
            )
        if item.verdict == "ok":
            raise StepFailed(
                f"a change that the plan did not announce is now needed: {found.summary}",
                hint="something else changed this host during the run; run again to plan anew",
                tail=found.diff,
                host=item.step.host.name,
            )


@dataclass(frozen=True)
class _Ended:
    """What a step's last look found; `changed` is the summary of its change, '' without one.

    `mends`: it is a resource, whose state is the wanted one; else a check, which only looks.
    `said` is what it says of a state that is right.
    """

    state: Any
    changed: str
    warning: Problem | None
    mends: bool
    said: str = ""


class _Wait:
    """What a step is at and waits for, in case its time runs out; and when to look next."""

    def __init__(self) -> None:
        self.at = "waiting"
        self.hint = ""
        self._seen = ""
        self._pause = _FIRST_PAUSE

    @property
    def condition(self) -> str:
        return f"{self.at}: {self._seen}" if self._seen else self.at

    async def a_while(self, problem: Problem, hands: StepHands, stopping: asyncio.Event) -> None:
        """Raises Interrupted at once when the run is told to stop: waiting changes nothing."""
        self._seen, self.hint = problem.text, problem.hint
        hands.waiting(problem.text, "")
        try:
            async with asyncio.timeout(self._pause):
                await stopping.wait()
        except TimeoutError:
            self._pause = min(1.5 * self._pause, _LONGEST_PAUSE)
            return
        raise Interrupted(f"stopped while waiting: {problem.text}")


class _Turn:
    """The host's one place for a change.  Queueing for it does not use up the step's time."""

    def __init__(self, lock: asyncio.Lock, deadline: asyncio.Timeout) -> None:
        self._lock = lock
        self._deadline = deadline

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        when = self._deadline.when()
        left = when - loop.time() if when is not None else 0.0
        self._deadline.reschedule(None)
        await self._lock.acquire()
        self._deadline.reschedule(loop.time() + left)

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
