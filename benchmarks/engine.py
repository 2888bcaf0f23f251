"""How much longer a run takes than its longest path of remote work.

A layered DAG of steps that sleep, over hosts that are local shells, so that the length of the
longest path is known and nothing but the engine comes on top.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import tell, wall
from k3s_tui.core.contract import Change, Hands, Host, Probe, Step
from k3s_tui.core.events import AnyEvent
from k3s_tui.engine.connection import Connection
from k3s_tui.engine.look import Lookout
from k3s_tui.engine.plan import make_plan
from k3s_tui.engine.run import Run
from k3s_tui.hosts.local import local_transport
from k3s_tui.hosts.transport import Transport

HOSTS, LAYERS = 5, 8


@dataclass(frozen=True)
class Sleep:
    """Makes a file after a while."""

    path: Path
    seconds: float

    def probe(self) -> Probe[bool]:
        return Probe(f"[ -e {self.path} ] && echo y", lambda out: out == b"y\n")

    def diff(self, now: bool) -> Change[bool] | None:
        return None if now else Change("sleep", after=True)

    async def apply(self, on: Hands, change: Change[bool]) -> None:
        await on.sh(f"sleep {self.seconds}; : >{self.path}")


def graph(folder: Path, seed: int) -> tuple[list[Step[Any]], float]:
    """Steps, one per host and layer, each needing up to two of the layer before; and the longest
    path's seconds, counting that a host does one step at a time."""
    dice = random.Random(seed)
    steps: list[Step[Any]] = []
    ends: dict[Step[Any], float] = {}
    free = dict.fromkeys(range(HOSTS), 0.0)
    above: list[Step[Any]] = []
    for layer in range(LAYERS):
        here: list[Step[Any]] = []
        for number in range(HOSTS):
            needs = tuple(dice.sample(above, min(2, len(above))))
            seconds = dice.uniform(0.1, 0.5)
            name = f"h{number}/layer/{layer}"
            step = Step(
                name, Host(f"h{number}"), Sleep(folder / name.replace("/", "-"), seconds), needs
            )
            start = max([free[number], *(ends[need] for need in needs)])
            ends[step] = free[number] = start + seconds
            here.append(step)
        steps += here
        above = here
    return steps, max(ends.values())


async def run(steps: list[Step[Any]]) -> None:
    def silent(_: AnyEvent) -> None:
        pass

    async def connect() -> Transport:
        return local_transport()

    hosts = {step.host for step in steps}
    fleet = {host: Connection(host, connect, silent) for host in hosts}
    for connection in fleet.values():
        await connection.open()
    lookout = Lookout(fleet, silent)
    plan = await make_plan(steps, lookout, silent)
    result = await Run(plan, fleet, lookout, silent).execute()
    assert result.succeeded
    for connection in fleet.values():
        await connection.close()


def main() -> None:
    over = []
    for seed in range(3):
        with tempfile.TemporaryDirectory() as folder:
            steps, longest = graph(Path(folder), seed)
            took = wall(lambda steps=steps: asyncio.run(run(steps)))  # type: ignore[misc]
        over.append(took - longest)
        print(
            f"  {len(steps)} steps on {HOSTS} hosts: longest path {longest:.2f} s, run {took:.2f} s"
        )
    tell("run, over its longest path", over, f"0.5 + 5 % (here {0.5 + 0.05 * longest:.2f})")
