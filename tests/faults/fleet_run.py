"""``python -m tests.faults.fleet_run FOLDER EVENT``: one apply to the fleet.

It kills itself with SIGKILL when the event of that number (0: none) has been written down, before
anything else happens: exactly there, and not some milliseconds later.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from k3s_tui.core.contract import LAPTOP, Host
from k3s_tui.core.events import AnyEvent, Line
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.connection import Connection, close_all, open_all
from k3s_tui.engine.lock import RunIdentity
from k3s_tui.engine.look import Lookout
from k3s_tui.engine.plan import make_plan
from k3s_tui.engine.record import Recorder
from k3s_tui.engine.run import Run
from k3s_tui.hosts.local import local_transport
from k3s_tui.hosts.ssh import Connector
from k3s_tui.hosts.target import Target
from k3s_tui.hosts.transport import Transport
from tests.faults.fleet import held
from tests.faults.fleet_steps import authority_of, steps


async def apply(root: Path, kill_at: int) -> bool:
    laptop = root / "laptop"
    told = json.loads((root / "fleet.json").read_text())
    recorder = Recorder(laptop / "run", Redactor())

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
            plan = await make_plan(steps(laptop, authority_of(root)), lookout, recorder)
            result = await Run(plan, fleet, lookout, recorder).execute()
        finally:
            await close_all(fleet)
            recorder.close()
    return result.succeeded


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(apply(Path(sys.argv[1]), int(sys.argv[2]))) else 1)
