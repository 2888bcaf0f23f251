"""The run, whatever screen is shown: its task belongs to the app, never to a screen.

Screens read `progress` and `log`; neither leaving a screen nor losing the terminal stops a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from k3s_tui.core.ask import Ask
from k3s_tui.core.contract import Host
from k3s_tui.core.errors import Exit, Refused
from k3s_tui.core.events import AnyEvent, Line, RunDone
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.plan import Plan
from k3s_tui.procedure import report, verbs
from k3s_tui.procedure.deployment import Deployment, Order
from k3s_tui.procedure.recording import Recording, recording
from k3s_tui.procedure.verbs import Confirm, Course, Hints
from k3s_tui.profile.model import Profile
from k3s_tui.profile.secrets import Resolver
from k3s_tui.tui.progress import Progress
from k3s_tui.tui.widgets.log_buffer import LogBuffer

Stage: TypeAlias = Literal["", "gently", "now"]
"""How a run was told to stop: not at all, after what is under way, or with it."""

Work: TypeAlias = Callable[[Deployment], Awaitable[RunDone]]


class Watched(Protocol):
    """What a run screen watches: a real run, or a recording of one."""

    progress: Progress
    log: LogBuffer
    path: Path | None
    """Where its events are written down."""
    error: Exception | None
    """A bug that ended it; everything else is its last event."""
    stopping: Stage

    @property
    def running(self) -> bool: ...

    def stop(self) -> bool:
        """Gently; again, hard.  False when there is nothing to stop."""
        ...

    async def wait(self) -> None:
        """Until it has ended."""
        ...

    async def journal(self, host: str) -> str:
        """What a host's journal said last, harmless and without secrets; '' when nobody can look.

        Raises OperatorError.
        """
        ...

    def save_report(self) -> Path:
        """Put what helps others to understand this run into one file.  Raises OperatorError."""
        ...


class RunController:
    """One verb at a time on one profile."""

    def __init__(
        self,
        path: Path,
        profile: Profile,
        secrets: Resolver,
        ask: Ask,
        hints: Hints,
        allow_restart: bool = False,
    ) -> None:
        self.progress = Progress()
        self.log = LogBuffer()
        self.path: Path | None = None
        self.error: Exception | None = None
        """A bug that ended the run; everything else is its last event."""
        self.stopping: Stage = ""
        self._profile_path = path
        self._profile = profile
        self._secrets = secrets
        self._ask = ask
        self._hints = hints
        self._allow_restart = allow_restart
        self._course = Course()
        self._task: asyncio.Task[None] | None = None
        self._hosts: Deployment | None = None
        self._redact = Redactor()

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def touched(self) -> bool:
        """Whether hosts may have been changed by now."""
        return self._course.touched

    async def plan(self) -> Plan:
        """Look at every host; nothing is changed, locked or written down.

        Raises OperatorError or ExceptionGroup of them; refusals are in the plan.
        """
        with self._recording("plan", keep=False) as current:
            async with self._deployment(current, locked=False) as deployment:
                return await deployment.plan()

    def start(self, confirm: Confirm) -> None:
        """Carry the profile out.  How it ended is `progress.done`."""

        async def work(deployment: Deployment) -> RunDone:
            return await verbs.apply(deployment, self._course, confirm, self._hints)

        self._task = asyncio.create_task(self._carry_out("apply", work, locked=True))

    def start_verification(self) -> None:
        """Prove the cluster as it is; nothing is changed.  How it ended is `progress.done`."""

        async def work(deployment: Deployment) -> RunDone:
            return await verbs.verify(deployment, self._course, self._hints)

        self._task = asyncio.create_task(self._carry_out("verify", work, locked=False))

    def stop(self) -> bool:
        if self._task is None or self._task.done():
            return False
        self.stopping = "now" if self.stopping else "gently"
        if not self._course.stop():
            # No step is under way: there is nothing whose end would be worth waiting for.
            self.stopping = "now"
            self._task.cancel()
        return True

    async def wait(self) -> None:
        """Until the run has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def journal(self, host: str) -> str:
        if self._hosts is None or host not in self._profile.hosts:
            return ""
        return self._redact(await self._hosts.journal_tail(Host(host)))

    def save_report(self) -> Path:
        if self.path is None:
            raise Refused("this run was not written down")
        return report.save(self.path, self._profile_path, self._redact, bug=self.error)

    async def _carry_out(self, verb: str, work: Work, *, locked: bool) -> None:
        try:
            with self._recording(verb, keep=True) as current:
                self.path = current.recorder.path
                self._redact = current.redact
                current.recorder(await self._ending(self._on_hosts(current, work, locked=locked)))
        except Exception as error:
            # It could not even begin: the profile is locked, or its folder cannot be written.
            self._read(self._told(error))

    async def _on_hosts(self, current: Recording, work: Work, *, locked: bool) -> RunDone:
        ended: RunDone | None = None
        try:
            async with self._deployment(current, locked=locked) as self._hosts:
                ended = await work(self._hosts)
        except asyncio.CancelledError:
            # Told to stop while its connections were closed: it has ended as it has.
            if ended is None:
                raise
        finally:
            self._hosts = None
        assert ended is not None
        return ended

    async def _ending(self, work: Coroutine[Any, Any, RunDone]) -> RunDone:
        try:
            return await work
        except asyncio.CancelledError:
            return RunDone(exit=Exit.INTERRUPTED, error="interrupted", hint=self._hints.resume)
        except Exception as error:
            return self._told(error)

    def _told(self, error: Exception) -> RunDone:
        told = verbs.ending_of(error, self._hints)
        if told is None:
            self.error = error
            return RunDone(exit=Exit.BUG, error="a bug in k3s-tui ended this run")
        return told

    def _recording(self, verb: str, *, keep: bool) -> AbstractContextManager[Recording]:
        return recording(verb, self._profile_path, self._profile, [self._read], keep=keep)

    def _deployment(self, current: Recording, *, locked: bool) -> Deployment:
        order = Order(
            profile_path=self._profile_path,
            profile=self._profile,
            identity=current.identity if locked else None,
            allow_restart=self._allow_restart,
        )
        return Deployment(order, self._secrets, self._ask, current.recorder, current.redact)

    def _read(self, event: AnyEvent) -> None:
        self.progress(event)
        if isinstance(event, Line):
            self.log.add(event)
