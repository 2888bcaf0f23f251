"""`plan`, `apply` and `verify`: what they do, whoever asked for it and however it is shown.

Each returns the last event of its run.  What goes wrong on the way is raised; `ending_of` turns
that into such an event, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from k3s_tui.core.errors import Exit, OperatorError, Refused
from k3s_tui.core.events import Outcome, RunDone
from k3s_tui.core.system import explained
from k3s_tui.engine.plan import Plan
from k3s_tui.engine.run import Result, Run
from k3s_tui.procedure.deployment import Deployment

Confirm: TypeAlias = Callable[[Plan], Awaitable[None]]
"""Returns when the plan may be carried out; raises Interrupted when it may not."""


class Course:
    """How far a verb has come, for whoever may want to stop it."""

    def __init__(self) -> None:
        self.touched = False
        """Whether hosts may have been changed."""
        self._run: Run | None = None

    def stop(self) -> bool:
        """Stop the run under way: no new steps; again, end those under way.

        False when no run is: then there is nothing to wait for, and the verb may be cancelled.
        """
        if self._run is None:
            return False
        self._run.stop()
        return True

    async def follow(self, run: Run) -> Result:
        """Execute `run`, which can be stopped meanwhile."""
        self._run = run
        try:
            return await run.execute()
        finally:
            self._run = None


@dataclass(frozen=True)
class Hints:
    """What an operator is told to do next: after a run that ended early, and after a good one."""

    resume: str = ""
    use: str = ""


async def plan(deployment: Deployment, *, detailed: bool = False) -> RunDone:
    """Look at every host, say what would change, and change nothing."""
    found = await deployment.plan()
    refuse(found)
    # A plan's numbers, where a run's would be: what is later may change, or may not.
    counts: Counter[Outcome] = Counter(
        {
            "ok": len(found.with_verdict("ok")),
            "changed": len(found.with_verdict("change")),
            "skipped": len(found.with_verdict("later")),
        }
    )
    return _ending(Exit.CHANGES if detailed and found.pending else Exit.OK, counts)


async def apply(
    deployment: Deployment,
    course: Course,
    confirm: Confirm,
    hints: Hints,
    *,
    verified: bool = True,
) -> RunDone:
    """Make it so: plan, confirm what is pending, run, verify."""
    found = await deployment.plan()
    refuse(found)
    if found.pending:
        await confirm(found)
    course.touched = True
    result = await course.follow(deployment.run(found))
    if result.interrupted or not result.succeeded:
        code = Exit.INTERRUPTED if result.interrupted else Exit.FAILED
        return _ending(code, result.counts, error=_why(result), hint=hints.resume)
    if not verified:
        return _ending(Exit.OK, result.counts)
    return await verify(deployment, course, hints, before=result.counts)


async def verify(
    deployment: Deployment,
    course: Course,
    hints: Hints,
    *,
    before: Counter[Outcome] | None = None,
) -> RunDone:
    """Prove what a finished cluster promises; changes nothing.  `before` is counted in."""
    result = await course.follow(deployment.verification())
    counts = (before or Counter()) + result.counts
    if result.interrupted:
        return _ending(Exit.INTERRUPTED, counts, error=_why(result), hint=hints.resume)
    if not result.succeeded:
        return _ending(Exit.VERIFICATION, counts, error=_why(result))
    return _ending(Exit.OK, counts, hint=hints.use)


def refuse(found: Plan) -> None:
    """Raise Refused when nothing in the plan can mend what is wrong."""
    if found.refusals:
        first = found.refusals[0]
        others = len(found.refusals) - 1
        more = f" (and {others} more, above)" if others else ""
        raise Refused(
            f"nothing was changed: {first.step.id}: {first.summary}{more}", hint=first.hint
        )


def ending_of(error: Exception, hints: Hints) -> RunDone | None:
    """How a run ended that raised `error`; None when it is a bug.

    What all of several hosts say is told, a line each; the first decides the exit code.
    """
    told = [explained(leaf) for leaf in _leaves(error)]
    known: list[OperatorError] = [one for one in told if one is not None]
    if len(known) < len(told):
        return None
    hint = "\n".join(dict.fromkeys(one.hint for one in known if one.hint))
    if known[0].exit == Exit.INTERRUPTED:
        hint = hints.resume
    # One cause that every host shares, such as the passphrase of their key, is told once.
    said = "\n".join(dict.fromkeys(map(str, known)))
    return RunDone(exit=known[0].exit, error=said, hint=hint)


def _leaves(error: BaseException) -> Iterable[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _ending(exit: Exit, counts: Counter[Outcome], error: str = "", hint: str = "") -> RunDone:
    return RunDone(
        exit=exit,
        ok=counts["ok"],
        changed=counts["changed"],
        failed=counts["failed"],
        skipped=counts["skipped"] + counts["cancelled"],
        error=error,
        hint=hint,
    )


def _why(result: Result) -> str:
    failed = [step.id for step, outcome in result.outcomes.items() if outcome == "failed"]
    if failed:
        return f"failed: {', '.join(failed)}"
    return "interrupted; what was begun has ended, and the state of the hosts is what counts"
