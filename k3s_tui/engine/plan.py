"""The plan: what each step found and what it would do, known before anything is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from k3s_tui.core.contract import Change, Check, Problem, S, Step, Telling, Verdict
from k3s_tui.core.errors import Lost, OperatorError
from k3s_tui.core.events import Emit, Planned
from k3s_tui.engine.graph import Steps, ordered
from k3s_tui.engine.look import Lookout


class NotYetKnown(Exception):
    """A step reads the state of one whose state will be known only once it is done."""

    def __init__(self, step: Step[Any]) -> None:
        super().__init__(step.id)
        self.step = step


class States:
    """The states of steps, as far as they are known: promised while planning, probed while running.

    `of(step)` is the view that a step's `ensure` gets; it may read only what the step needs, so
    that the edges of the graph are the whole truth about who waits for whom.
    """

    def __init__(self) -> None:
        self._states: dict[Step[Any], Any] = {}

    def put(self, step: Step[Any], state: Any) -> None:
        self._states[step] = state

    def of(self, step: Step[Any]) -> StatesSeenBy:
        return StatesSeenBy(self._states, step)


@dataclass(frozen=True)
class StatesSeenBy:
    """Keeps `Seen` for one step."""

    states: dict[Step[Any], Any]
    reader: Step[Any]
    read: set[Step[Any]] = field(default_factory=set)

    def __getitem__(self, step: Step[S]) -> S:
        if step not in self.reader.needs:
            raise LookupError(f"{self.reader.id} reads {step.id} without needing it")
        self.read.add(step)
        state: S | None = self.states.get(step)
        if state is None:
            raise NotYetKnown(step)
        return state


def build(step: Step[S], states: States) -> Check[S]:
    """The step's resource.  Raises NotYetKnown when it is built from what is not known yet."""
    return build_telling(step, states)[0]


def build_telling(step: Step[S], states: States) -> tuple[Check[S], set[Step[Any]]]:
    """The step's resource, and the steps whose states it was built from."""
    if not callable(step.ensure):
        return step.ensure, set()
    seen = states.of(step)
    return step.ensure(seen), seen.read


def mends(check: Check[Any]) -> bool:
    """Whether it is a resource: its state is the wanted one.  A check's is whatever it sees."""
    return hasattr(check, "apply")


def says(check: Check[S], state: S) -> str:
    """What it has to say of a state that is right; '' for most."""
    return cast("Telling[S]", check).says(state) if hasattr(check, "says") else ""


@dataclass(frozen=True)
class Item:
    """One step of the plan.

    `state` is what the probe found, or what the step promises to make of it; `found` always what
    was found.  None when nobody could look yet.
    """

    step: Step[Any]
    verdict: Verdict
    summary: str = ""
    diff: str = ""
    hint: str = ""
    warning: str = ""
    state: Any = None
    found: Any = None

    def event(self) -> Planned:
        return Planned(
            step=self.step.id,
            host=self.step.host.name,
            verdict=self.verdict,
            summary=self.summary,
            diff=self.diff,
            hint=self.hint,
            warning=self.warning,
        )


@dataclass
class Plan:
    """Every step's item, in the order of the graph."""

    items: dict[Step[Any], Item] = field(default_factory=dict)

    def with_verdict(self, verdict: Verdict) -> list[Item]:
        return [item for item in self.items.values() if item.verdict == verdict]

    @property
    def refusals(self) -> list[Item]:
        """Problems that nothing in the plan can mend: nothing may be touched."""
        return self.with_verdict("problem")

    @property
    def pending(self) -> bool:
        """Whether a run would, or might, change something."""
        return any(item.verdict in ("change", "later") for item in self.items.values())


async def make_plan(steps: Sequence[Step[Any]], lookout: Lookout, emit: Emit) -> Plan:
    """Look at everything that can be looked at, wave by wave, and judge it.

    A wave is all steps whose resource can be built from what is known; a converged fleet takes
    as many waves as the longest chain of states that are read from each other.
    """
    pending: Steps = ordered(steps)
    judged: dict[Step[Any], Item] = {}
    built: dict[Step[Any], _Ready] = {}
    promised = States()
    while pending:
        ready: list[_Ready] = []
        for step in pending:
            try:
                ready.append(_Ready(step, *build_telling(step, promised)))
            except NotYetKnown as unknown:
                if unknown.step in judged:
                    # Judged, and still no state to read: its step will make one.
                    judged[step] = Item(step, "later", f"known after {unknown.step.id}")
            except OperatorError as error:
                judged[step] = _as_problem(step, Problem(error.text, error.hint), judged)
        answers = await asyncio.gather(
            *(_look(lookout, one.step, one.check) for one in ready), return_exceptions=True
        )
        for one, answer in zip(ready, answers, strict=True):
            judged[one.step] = item = _judge(lookout, one, answer, judged)
            if item.state is not None:
                promised.put(one.step, item.state)
            built[one.step] = one
        pending = tuple(step for step in pending if step not in judged)
    plan = Plan({step: judged[step] for step in ordered(steps)})
    _settle(plan, built)
    for item in plan.items.values():
        emit(item.event())
    return plan


@dataclass(frozen=True)
class _Ready:
    """A step whose resource could be built, and what it was built from."""

    step: Step[Any]
    check: Check[Any]
    read: set[Step[Any]]


def _settle(plan: Plan, built: Mapping[Step[Any], _Ready]) -> None:
    """Mark as later what is ok now, and may not be once the plan has been carried out.

    What a check sees may change with what it needs.  A resource's state is the wanted one, unless
    it is built from something that may change: then it may bring a change of its own.
    """
    disturbed: set[Step[Any]] = set()
    for step, item in plan.items.items():
        if item.verdict != "ok":
            disturbed.add(step)
        elif not mends(built[step].check):
            if disturbed.intersection(step.needs):
                disturbed.add(step)
        elif moving := [need.id for need in step.needs if need in disturbed & built[step].read]:
            disturbed.add(step)
            plan.items[step] = replace(
                item, verdict="later", summary=f"looked at again after {', '.join(moving)}"
            )


async def _look(lookout: Lookout, step: Step[Any], check: Check[Any]) -> Any:
    async with asyncio.timeout(step.within):
        return await lookout.look(step, check)


def _judge(lookout: Lookout, one: _Ready, answer: Any, judged: dict[Step[Any], Item]) -> Item:
    """What a probe's answer means, given what is planned for the steps it needs."""
    step = one.step
    found: Change[Any] | Problem | None
    if isinstance(answer, Lost):
        raise answer
    if isinstance(answer, OperatorError):
        found = Problem(str(answer), answer.hint)
    elif isinstance(answer, TimeoutError):
        found = Problem(f"the probe gave no answer within {step.within:.0f} s")
    elif isinstance(answer, BaseException):
        raise answer
    else:
        try:
            found = lookout.judge(step, one.check, answer)
        except OperatorError as error:
            found = Problem(str(error), error.hint)

    if found is None:
        return Item(step, "ok", state=answer, found=answer)
    if isinstance(found, Change):
        # The promise, not what is there now: readers plan with what will be.
        return Item(
            step,
            "change",
            found.summary,
            found.diff,
            found.hint,
            found.warning,
            state=found.after,
            found=answer,
        )
    if found.warning:
        return Item(step, "ok", state=answer, found=answer, warning=found.text, hint=found.hint)
    return _as_problem(step, found, judged)


def _as_problem(step: Step[Any], found: Problem, judged: Mapping[Step[Any], Item]) -> Item:
    """A problem that what comes before may mend is a wait; any other refuses the run."""
    if not step.needs:
        return Item(step, "problem", found.text, hint=found.hint)
    moving = [n.id for n in step.needs if n in judged and judged[n].verdict != "ok"]
    after = ", ".join(moving or [need.id for need in step.needs])
    return Item(step, "later", f"checked after {after}: {found.text}", hint=found.hint)
