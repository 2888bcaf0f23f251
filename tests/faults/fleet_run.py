"""``python -m tests.faults.fleet_run FOLDER WHERE``: one apply to the fleet.

It kills itself with SIGKILL exactly at WHERE, and not some milliseconds later: when the event of
that number (0: none) has been written down, before anything else happens; or at a moment in the
hands, `STEP N before` or `STEP N after`: before the Nth act of a step is begun, or when it has come
back and nobody knows it yet.  Those it passes are written into `FOLDER/moments`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from k3s_tui.core.contract import LAPTOP, Host
from k3s_tui.core.events import AnyEvent, Line
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.connection import Connection, close_all, open_all
from k3s_tui.engine.hands import StepHands
from k3s_tui.engine.lock import RunIdentity
from k3s_tui.engine.look import Lookout
from k3s_tui.engine.plan import make_plan
from k3s_tui.engine.record import Recorder
from k3s_tui.engine.run import Run
from k3s_tui.hosts.local import local_transport
from k3s_tui.hosts.ssh import Connector
from k3s_tui.hosts.target import Target
from k3s_tui.hosts.transport import Transport
from k3s_tui.resources.laptop import LocalFile, RecordedSums
from tests.faults.fleet import held
from tests.faults.fleet_steps import authority_of, steps


class Moments:
    """Before and after each act: a script that a step's hands run, or a file of the laptop's."""

    def __init__(self, kill_at: str, passed: Path) -> None:
        self._kill_at = kill_at
        self._passed = passed
        self._counts: Counter[str] = Counter()

    def watch(self) -> None:
        """Nothing of the engine or of a resource is another one, but for these moments."""
        moments, in_words = self, StepHands.sh

        async def sh(hands: StepHands, script: str, *, stdin: bytes = b"") -> bytes:
            out: bytes = await moments._around(
                hands._step, lambda: in_words(hands, script, stdin=stdin)
            )
            return out

        setattr(StepHands, "sh", sh)  # noqa: B010
        for kind in (LocalFile, RecordedSums):
            kind.apply = self._of_the_laptop(kind.apply)  # type: ignore[method-assign]

    def _of_the_laptop(self, apply: Any) -> Any:
        async def watched(resource: Any, on: Any, change: Any) -> None:
            await self._around(
                f"laptop/{type(resource).__name__}", lambda: apply(resource, on, change)
            )

        return watched

    async def _around(self, step: str, act: Callable[[], Awaitable[Any]]) -> Any:
        self._counts[step] += 1
        name = f"{step} {self._counts[step]}"
        self._at(f"{name} before")
        done = await act()
        self._at(f"{name} after")
        return done

    def _at(self, moment: str) -> None:
        if moment == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with self._passed.open("a") as file:
            file.write(f"{moment}\n")


async def apply(root: Path, where: str = "0", within: float = 0.0) -> bool:
    """See above.  `within`: seconds that each step has, other than its own."""
    laptop = root / "laptop"
    told = json.loads((root / "fleet.json").read_text())
    recorder = Recorder(laptop / "run", Redactor())
    kill_at = int(where) if where.isdigit() else 0
    Moments(where, root / "moments").watch()

    def kill(event: AnyEvent) -> None:
        if event.seq == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if isinstance(event, Line) and event.text.startswith("unpacking"):
            hold = held(root, event.host)
            if hold.is_file():  # a folder holds longer
                hold.unlink(missing_ok=True)

    recorder.subscribe(kill)
    async with AsyncExitStack() as stack:
        connector = await stack.enter_async_context(Connector(home=laptop, agent=""))

        def way(name: str, port: int) -> Callable[[], Awaitable[Transport]]:
            target = Target(
                name=name,
                address="127.0.0.1",
                port=port,
                user="root",
                identity=str(root / "identity"),
                become="root",
                host_key=told["host-key"],
            )

            async def connect() -> Transport:
                return await connector.connect(target)

            return connect

        async def here() -> Transport:
            return local_transport()

        run = f"run-{os.getpid()}"
        fleet = {LAPTOP: Connection(LAPTOP, here, recorder)}
        for name, port in told["ports"].items():
            host = Host(name)
            fleet[host] = Connection(host, way(name, port), recorder, RunIdentity.of(run))
        try:
            await open_all(fleet)
            lookout = Lookout(fleet, recorder)
            chosen = steps(laptop, authority_of(root))
            for step in chosen if within else ():
                object.__setattr__(step, "within", within)
            plan = await make_plan(chosen, lookout, recorder)
            result = await Run(plan, fleet, lookout, recorder).execute()
        finally:
            await close_all(fleet)
            recorder.close()
    return result.succeeded


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(apply(Path(sys.argv[1]), sys.argv[2])) else 1)
