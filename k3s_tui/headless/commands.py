"""`plan`, `apply` and `verify` from the command line: each returns its exit code."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable

from k3s_tui.core.errors import Exit, Interrupted
from k3s_tui.core.events import RunDone
from k3s_tui.engine.plan import Plan
from k3s_tui.headless import interrupts
from k3s_tui.headless.interrupts import Interrupts
from k3s_tui.headless.output import complain
from k3s_tui.headless.session import Options, Session, session
from k3s_tui.procedure import verbs
from k3s_tui.procedure.verbs import Course, Hints
from k3s_tui.profile.neighbours import kubeconfig_file


def plan(options: Options, *, detailed: bool) -> Exit:
    """Look at every host, say what would change, and change nothing."""

    async def work(current: Session, course: Course) -> RunDone:
        async with current.deployment(locked=False) as deployment:
            return await verbs.plan(deployment, detailed=detailed)

    return run("plan", options, work, Hints(), keep=False)


def apply(options: Options, *, yes: bool) -> Exit:
    """Make it so: plan, confirm, run, verify."""

    async def work(current: Session, course: Course) -> RunDone:
        async def confirm(found: Plan) -> None:
            if not yes:
                await _confirm(current, found)

        async with current.deployment(locked=True) as deployment:
            ended = await verbs.apply(deployment, course, confirm, hints, verified=not options.only)
        if options.only and ended.exit == Exit.OK:
            # The rest of the cluster may not be there yet, and was not asked for.
            complain(f"not verified, because of --only: {_command('verify', options)}")
        return ended

    hints = Hints(
        resume=_resume(options, yes=yes),
        use=f"KUBECONFIG={shlex.quote(str(kubeconfig_file(options.profile)))} kubectl get nodes",
    )
    return run("apply", options, work, hints, keep=True)


def verify(options: Options) -> Exit:
    """Prove what a finished cluster promises; changes nothing."""

    async def work(current: Session, course: Course) -> RunDone:
        async with current.deployment(locked=False) as deployment:
            return await verbs.verify(deployment, course, Hints())

    return run("verify", options, work, Hints(), keep=True)


async def _confirm(current: Session, found: Plan) -> None:
    number = len(found.with_verdict("change")) + len(found.with_verdict("later"))
    if not await current.ask.confirm(
        f"{number} steps may change these hosts. Go on?", flag="--yes"
    ):
        raise Interrupted("not confirmed; nothing was changed")


def _resume(options: Options, *, yes: bool) -> str:
    more = ["--yes"] if yes else []
    more += ["--allow-restart"] if options.allow_restart else []
    more += [f"--only={pattern}" for pattern in options.only]
    return f"run again to resume: {_command('apply', options, *more)}"


def _command(verb: str, options: Options, *more: str) -> str:
    """How to run it on the same profile in the same way."""
    words = ["k3s-tui", verb, str(options.profile), *more]
    if options.passphrase_file is not None:
        words.append(f"--passphrase-file={options.passphrase_file}")
    return shlex.join(words)


def run(
    verb: str,
    options: Options,
    work: Callable[[Session, Course], Awaitable[RunDone]],
    hints: Hints,
    *,
    keep: bool,
) -> Exit:
    """Run `work` in a session.  How it ended, or what it raised, is the last event of the run."""
    with session(verb, options, keep=keep) as current:
        course = Course()

        async def main(stops: Interrupts) -> RunDone:
            stops.stop = lambda count: _stopped(course, count)
            try:
                return await work(current, course)
            finally:
                stops.touched = course.touched

        recorder = current.recording.recorder
        try:
            ended = interrupts.run(main)
        except Exception as error:
            told = verbs.ending_of(error, hints)
            if told is None:
                recorder(RunDone(exit=Exit.BUG, error="a bug in k3s-tui ended this run"))
                raise
            ended = told
        recorder(ended)
        if recorder.cut:
            complain(f"warning: the log of this run is not whole: {recorder.path}: {recorder.cut}")
        elif keep and ended.exit != Exit.OK and recorder.path is not None:
            complain(f"the log of this run: {recorder.path}")
        return Exit(ended.exit)


def _stopped(course: Course, count: int) -> bool:
    """Whether there was a run to stop."""
    stopped = course.stop()
    if stopped:
        complain(
            "stopping: no new steps, changes under way end first (again: end those, too)"
            if count == 1
            else "ending what is under way (again: leave at once)"
        )
    return stopped
