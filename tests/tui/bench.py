"""The engine on a bench: real plans, runs, shells and recordings; only the hosts are this machine.

A step's work is a script, so that a test can let it wait, fail, or say what no host should say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k3s_tui.core.ask import Ask
from k3s_tui.core.contract import Change, Hands, Host, Probe, Problem, Step
from k3s_tui.core.events import Emit
from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.engine.connection import Connection, open_all
from k3s_tui.engine.plan import Item, Plan, make_plan
from k3s_tui.engine.run import Run
from k3s_tui.hosts.local import _LocalWire
from k3s_tui.hosts.script import quote
from k3s_tui.hosts.shell import ShellTransport
from k3s_tui.hosts.transport import Transport
from k3s_tui.procedure import adoption
from k3s_tui.procedure.adoption import Adoption
from k3s_tui.procedure.deployment import Deployment, Order
from k3s_tui.procedure.preflight import Judged
from k3s_tui.procedure.recording import Recording
from k3s_tui.procedure.verbs import Hints
from k3s_tui.profile.model import Profile
from k3s_tui.profile.secrets import Resolver
from k3s_tui.resources.postgres.standing import ForeignSession, Standing
from k3s_tui.tui.ask import DialogAsk
from k3s_tui.tui.backend import Engine
from k3s_tui.tui.controller import RunController
from k3s_tui.tui.draft import Draft

SECRET = "canary-that-must-not-sing"


@dataclass(frozen=True)
class Work:
    """Something to do once: `script`, after which `made` is there."""

    made: Path
    script: str = ":"
    summary: str = "make it"
    warning: str = ""
    within: Callable[[], None] | None = None
    """Called instead of the script, to fail as only a bug can."""

    def probe(self) -> Probe[str]:
        return Probe(f"cat {quote(str(self.made))} 2>/dev/null", bytes.decode)

    def diff(self, now: str) -> Change[str] | None:
        return None if now else Change(self.summary, "+ it", warning=self.warning)

    async def apply(self, on: Hands, change: Change[str]) -> None:
        if self.within is not None:
            self.within()
        await on.sh(f"set -e\n{self.script}\necho made >{quote(str(self.made))}")


@dataclass(frozen=True)
class There:
    """A check that waits until a file is there."""

    path: Path
    warning: bool = False

    def probe(self) -> Probe[str]:
        return Probe(f"cat {quote(str(self.path))} 2>/dev/null", bytes.decode)

    def diff(self, now: str) -> Problem | None:
        if now:
            return None
        return Problem(f"{self.path.name} is not there", "make it", self.warning)


@dataclass
class Bench:
    """The steps of a run and of its verification, and the folder they work in."""

    root: Path
    steps: list[Step[Any]] = field(default_factory=list)
    proofs: list[Step[Any]] = field(default_factory=list)
    controllers: list[RunController] = field(default_factory=list)
    question: str = ""
    """Asked while the hosts are connected, as an unknown host key is."""
    sessions: tuple[ForeignSession, ...] = ()
    """Of others, in a PostgreSQL that has to restart."""

    def work(self, id: str, script: str = ":", *needs: Step[Any], **more: Any) -> Step[Any]:
        """Add a step of this id that runs a script on its host."""
        made = self.root / id.replace("/", "-")
        step: Step[Any] = Step(id, Host(id.partition("/")[0]), Work(made, script, **more), needs)
        self.steps.append(step)
        return step

    def check(self, id: str, file: str, *needs: Step[Any], warning: bool = False) -> Step[Any]:
        """Add a step that waits for a file in `root`."""
        check = There(self.root / file, warning)
        step: Step[Any] = Step(id, Host(id.partition("/")[0]), check, needs)
        self.steps.append(step)
        return step

    def proof(self, id: str, file: str, within: float = 5.0) -> None:
        """Add a proof to the verification."""
        check = There(self.root / file)
        self.proofs.append(Step(id, Host(id.partition("/")[0]), check, within=within))

    def made(self, id: str) -> bool:
        return (self.root / id.replace("/", "-")).exists()

    def gate(self, name: str = "gate") -> str:
        """A script that says so, and waits until `open` is called."""
        path = quote(str(self.root / name))
        return (
            f"echo waiting at {name} >&2; i=0; "
            f"until [ -e {path} ] || [ $i -gt 600 ]; do sleep 0.05; i=$((i+1)); done"
        )

    def open(self, name: str = "gate") -> None:
        (self.root / name).write_text("open")

    def backend(self, draft: Draft, secrets: Resolver, ask: DialogAsk) -> Engine:
        return _BenchEngine(self, draft, secrets, ask)


class _BenchEngine(Engine):
    """The wizard's own engine, whose controllers work on the bench."""

    def __init__(self, bench: Bench, draft: Draft, secrets: Resolver, ask: DialogAsk) -> None:
        super().__init__(draft, secrets, ask)
        self._bench = bench

    async def prepare(self, draft: Draft) -> Profile:
        return draft.save()

    def _controller(self, profile: Profile, allow_restart: bool = False) -> RunController:
        made = super()._controller(profile, allow_restart)
        hints = Hints(resume="run again to resume: k3s-tui apply", use="kubectl get nodes")
        controller = _BenchController(
            self._bench, made._profile_path, profile, self._secrets, self._ask, hints, allow_restart
        )
        self._bench.controllers.append(controller)
        return controller


class _BenchController(RunController):
    def __init__(
        self,
        bench: Bench,
        path: Path,
        profile: Profile,
        secrets: Resolver,
        ask: Ask,
        hints: Hints,
        allow_restart: bool,
    ) -> None:
        super().__init__(path, profile, secrets, ask, hints, allow_restart)
        self._bench = bench

    def _deployment(self, current: Recording, *, locked: bool) -> Deployment:
        order = Order(
            profile_path=self._profile_path,
            profile=self._profile,
            allow_restart=self._allow_restart,
        )
        return _BenchDeployment(
            self._bench, order, self._secrets, self._ask, current.recorder, current.redact
        )


class _BenchDeployment(Deployment):
    """Its hosts are shells of this machine; its steps are the bench's."""

    def __init__(
        self,
        bench: Bench,
        order: Order,
        secrets: Resolver,
        ask: Ask,
        emit: Emit,
        redact: Redactor,
    ) -> None:
        super().__init__(order, secrets, ask, emit, redact)
        self._bench = bench

    async def _open(self) -> None:
        self._redact.learn([Secret(SECRET)])
        for step in (*self._steps, *self._bench.proofs):
            self._fleet[step.host] = Connection(step.host, _shell(step.host), self._emit)
        await open_all(self._fleet)
        if self._bench.question:
            await self._ask.confirm(self._bench.question, flag="--yes")

    async def plan(self) -> Plan:
        return await make_plan(self._steps, self._lookout, self._emit)

    @property
    def _steps(self) -> list[Step[Any]]:
        if not self._bench.sessions:
            return self._bench.steps
        found = Adoption(Standing("/data", sessions=self._bench.sessions))
        verdict = adoption.restart(found, ("10.0.0.1",), self._order.allow_restart)
        rule: Step[Any] = Step("postgres/preflight/restart", Host("postgres"), Judged(verdict))
        return [rule, *self._bench.steps]

    def verification(self) -> Run:
        return self.run(Plan({step: Item(step, "later") for step in self._bench.proofs}))


def _shell(host: Host) -> Callable[[], Any]:
    async def connect() -> Transport:
        return ShellTransport(host, _LocalWire(), owner=f"{os.getuid()}:{os.getgid()}")

    return connect


def ids(steps: Sequence[Step[Any]]) -> list[str]:
    return [step.id for step in steps]
