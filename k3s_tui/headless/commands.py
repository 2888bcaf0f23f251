"""`plan`, `apply` and `verify`: each returns its exit code and says the rest in events."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from k3s_tui.core.errors import Exit, Interrupted, OperatorError, Refused
from k3s_tui.core.events import Outcome, RunDone
from k3s_tui.engine.plan import Plan
from k3s_tui.engine.run import Result, Run
from k3s_tui.headless import interrupts
from k3s_tui.headless.interrupts import Interrupts
from k3s_tui.headless.session import Options, Session, session
from k3s_tui.procedure.deployment import Deployment


@dataclass(frozen=True)
class Counts:
    """How many steps ended how."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(
            self.ok + other.ok,
            self.changed + other.changed,
            self.failed + other.failed,
            self.skipped + other.skipped,
        )


def plan(options: Options, *, detailed: bool) -> Exit:
    """Look at every host, say what would change, and change nothing."""

    async def work(current: Session, _: Interrupts) -> RunDone:
        async with current.deployment(locked=False) as deployment:
            found = await deployment.plan()
            _refuse(found)
            pending = Exit.CHANGES if detailed and found.pending else Exit.OK
            return _ending(pending, _planned(found))

    return _run("plan", options, work, keep=False)


def apply(options: Options, *, yes: bool) -> Exit:
    """Make it so: plan, confirm, run, verify."""

    async def work(current: Session, stops: Interrupts) -> RunDone:
        async with current.deployment(locked=True) as deployment:
            found = await deployment.plan()
            _refuse(found)
            if found.pending and not yes:
                await _confirm(current, found)
            result = await _execute(deployment.run(found), stops)
            if result.interrupted or not result.succeeded:
                return _ending(
                    Exit.INTERRUPTED if result.interrupted else Exit.FAILED,
                    _counts(result),
                    error=_why(result),
                    hint=f"run again to resume: {_again(options)}",
                )
            return await _verify(deployment, stops, _counts(result))

    return _run("apply", options, work, keep=True)


def verify(options: Options) -> Exit:
    """Prove what a finished cluster promises; changes nothing."""

    async def work(current: Session, stops: Interrupts) -> RunDone:
        async with current.deployment(locked=False) as deployment:
            return await _verify(deployment, stops, Counts())

    return _run("verify", options, work, keep=True)


async def _verify(deployment: Deployment, stops: Interrupts, before: Counts) -> RunDone:
    result = await _execute(deployment.verification(), stops)
    counts = before.plus(_counts(result))
    if result.interrupted:
        return _ending(Exit.INTERRUPTED, counts, error=_why(result))
    if not result.succeeded:
        return _ending(Exit.VERIFICATION, counts, error=_why(result))
    return _ending(Exit.OK, counts)


async def _execute(run: Run, stops: Interrupts) -> Result:
    def on_signal(count: int) -> None:
        said = (
            "stopping: no new steps, changes under way end first (again: end those, too)"
            if count == 1
            else "ending what is under way (again: leave at once)"
        )
        print(said, file=sys.stderr)
        run.stop()

    stops.on_signal = on_signal
    try:
        return await run.execute()
    finally:
        stops.on_signal = None


async def _confirm(current: Session, found: Plan) -> None:
    number = len(found.with_verdict("change")) + len(found.with_verdict("later"))
    if not await current.ask.confirm(
        f"{number} steps may change these hosts. Go on?", flag="--yes"
    ):
        raise Interrupted("not confirmed; nothing was changed")


def _refuse(found: Plan) -> None:
    if found.refusals:
        first = found.refusals[0]
        others = len(found.refusals) - 1
        more = f" (and {others} more, above)" if others else ""
        raise Refused(
            f"nothing was changed: {first.step.id}: {first.summary}{more}", hint=first.hint
        )


def _planned(found: Plan) -> Counts:
    """A plan's numbers, where a run's would be: what is later may change, or may not."""
    return Counts(
        ok=len(found.with_verdict("ok")),
        changed=len(found.with_verdict("change")),
        skipped=len(found.with_verdict("later")),
    )


def _counts(result: Result) -> Counts:
    counts = result.counts
    return Counts(
        ok=counts["ok"],
        changed=counts["changed"],
        failed=counts["failed"],
        skipped=counts["skipped"] + counts["cancelled"],
    )


def _ending(exit: Exit, counts: Counts, error: str = "", hint: str = "") -> RunDone:
    return RunDone(
        exit=exit,
        ok=counts.ok,
        changed=counts.changed,
        failed=counts.failed,
        skipped=counts.skipped,
        error=error,
        hint=hint,
    )


def _why(result: Result) -> str:
    def ids(outcome: Outcome) -> list[str]:
        return [step.id for step, found in result.outcomes.items() if found == outcome]

    if failed := ids("failed"):
        return f"failed: {', '.join(failed)}"
    return "interrupted; what was begun has ended, and the state of the hosts is what counts"


def _again(options: Options) -> str:
    return f"k3s-tui apply {shlex.quote(str(options.profile))}"


def _run(
    verb: str,
    options: Options,
    work: Callable[[Session, Interrupts], Awaitable[RunDone]],
    *,
    keep: bool,
) -> Exit:
    """Run `work` in a session.  How it ended, or what it raised, is the last event of the run."""
    with session(verb, options, keep=keep) as current:

        async def main(stops: Interrupts) -> RunDone:
            return await work(current, stops)

        try:
            ending = interrupts.run(main)
        except* OperatorError as group:
            ending = _failure(current, list(_leaves(group)))
        current.recorder(ending)
        if keep and ending.exit != Exit.OK and current.recorder.path is not None:
            print(f"the log of this run: {current.recorder.path}", file=sys.stderr)
        return Exit(ending.exit)


def _failure(current: Session, errors: list[OperatorError]) -> RunDone:
    first = errors[0]
    text = "; ".join(str(error) for error in errors)
    hint = first.hint
    if first.exit == Exit.INTERRUPTED and current.verb == "apply":
        hint = f"to go on: {_again(current.options)}"
    return RunDone(exit=first.exit, error=text, hint=hint)


def _leaves(group: BaseExceptionGroup[OperatorError]) -> Iterable[OperatorError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
