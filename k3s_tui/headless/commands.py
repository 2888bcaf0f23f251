"""`plan`, `apply` and `verify`: each returns its exit code and says the rest in events."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from k3s_tui.core.errors import Exit, Interrupted, OperatorError, Refused
from k3s_tui.core.events import Outcome, RunDone
from k3s_tui.engine.plan import Plan
from k3s_tui.engine.run import Result, Run
from k3s_tui.headless import interrupts
from k3s_tui.headless.interrupts import Interrupts
from k3s_tui.headless.output import complain
from k3s_tui.headless.session import Options, Session, session
from k3s_tui.headless.system import explained
from k3s_tui.procedure.deployment import Deployment
from k3s_tui.profile.neighbours import kubeconfig_file


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
            stops.touched = True
            result = await _execute(deployment.run(found), stops)
            if result.interrupted or not result.succeeded:
                return _ending(
                    Exit.INTERRUPTED if result.interrupted else Exit.FAILED,
                    _counts(result),
                    error=_why(result),
                    hint=resume,
                )
            if options.only:
                # The rest of the cluster may not be there yet, and was not asked for.
                complain(f"not verified, because of --only: {_command('verify', options)}")
                return _ending(Exit.OK, _counts(result))
            return await _verify(deployment, stops, _counts(result), resume, use)

    resume = _resume(options, yes=yes)
    use = f"KUBECONFIG={shlex.quote(str(kubeconfig_file(options.profile)))} kubectl get nodes"
    return _run("apply", options, work, keep=True, resume=resume)


def verify(options: Options) -> Exit:
    """Prove what a finished cluster promises; changes nothing."""

    async def work(current: Session, stops: Interrupts) -> RunDone:
        async with current.deployment(locked=False) as deployment:
            return await _verify(deployment, stops, Counts())

    return _run("verify", options, work, keep=True)


async def _verify(
    deployment: Deployment, stops: Interrupts, before: Counts, resume: str = "", use: str = ""
) -> RunDone:
    result = await _execute(deployment.verification(), stops)
    counts = before.plus(_counts(result))
    if result.interrupted:
        return _ending(Exit.INTERRUPTED, counts, error=_why(result), hint=resume)
    if not result.succeeded:
        return _ending(Exit.VERIFICATION, counts, error=_why(result))
    return _ending(Exit.OK, counts, hint=use)


async def _execute(run: Run, stops: Interrupts) -> Result:
    def on_signal(count: int) -> None:
        said = (
            "stopping: no new steps, changes under way end first (again: end those, too)"
            if count == 1
            else "ending what is under way (again: leave at once)"
        )
        run.stop()
        complain(said)

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


def _resume(options: Options, *, yes: bool) -> str:
    more = ["--yes"] if yes else []
    more += [f"--only={pattern}" for pattern in options.only]
    return f"run again to resume: {_command('apply', options, *more)}"


def _command(verb: str, options: Options, *more: str) -> str:
    """How to run it on the same profile in the same way."""
    words = ["k3s-tui", verb, str(options.profile), *more]
    if options.passphrase_file is not None:
        words.append(f"--passphrase-file={options.passphrase_file}")
    return shlex.join(words)


def _run(
    verb: str,
    options: Options,
    work: Callable[[Session, Interrupts], Awaitable[RunDone]],
    *,
    keep: bool,
    resume: str = "",
) -> Exit:
    """Run `work` in a session.  How it ended, or what it raised, is the last event of the run.

    `resume` is the hint for an operator who interrupted it.
    """
    with session(verb, options, keep=keep) as current:

        async def main(stops: Interrupts) -> RunDone:
            return await work(current, stops)

        try:
            ending = interrupts.run(main)
        except Exception as error:
            told = [explained(leaf) for leaf in _leaves(error)]
            known = [one for one in told if one is not None]
            if len(known) < len(told):
                current.recorder(RunDone(exit=Exit.BUG, error="a bug in k3s-tui ended this run"))
                raise
            ending = _failure(known, resume)
        current.recorder(ending)
        if keep and ending.exit != Exit.OK and current.recorder.path is not None:
            complain(f"the log of this run: {current.recorder.path}")
        return Exit(ending.exit)


def _failure(errors: list[OperatorError], resume: str) -> RunDone:
    """What all of them say, a line each; the first decides how the run ended."""
    first = errors[0]
    hint = "\n".join(dict.fromkeys(error.hint for error in errors if error.hint))
    if first.exit == Exit.INTERRUPTED:
        hint = resume
    # One cause that every host shares, such as the passphrase of their key, is told once.
    said = "\n".join(dict.fromkeys(map(str, errors)))
    return RunDone(exit=first.exit, error=said, hint=hint)


def _leaves(error: BaseException) -> Iterable[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
