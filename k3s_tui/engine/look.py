"""Looking at hosts: every probe that is ready at the same moment travels in one exec per host."""

from __future__ import annotations

import asyncio
import secrets
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from k3s_tui.core.contract import Change, Check, Host, Probe, Problem, Step
from k3s_tui.core.errors import Lost, OperatorError, StepFailed
from k3s_tui.core.events import Emit, Line
from k3s_tui.engine.connection import Connection, Fleet
from k3s_tui.engine.hands import StepHands
from k3s_tui.hosts import script


class Lookout:
    """Answers probes.  Requests made in the same turn of the event loop share their host's exec."""

    def __init__(self, fleet: Fleet, emit: Emit) -> None:
        self._fleet = fleet
        self._emit = emit
        self._queues: dict[Host, list[tuple[str, asyncio.Future[bytes]]]] = {}
        self._flights: set[asyncio.Task[None]] = set()

    async def look(self, step: Step[Any], check: Check[Any]) -> Any:
        """The state that the check's probe finds now.

        Raises what a coroutine probe raises, `Lost`, or StepFailed when the answer is too long or
        cannot be understood.
        """
        probe: Probe[Any] = check.probe()
        if isinstance(probe.ask, str):
            answer = await self._ask(step.host, probe.ask)
        else:
            connection = self._fleet[step.host]
            answer = await probe.ask(StepHands(connection.transport, step.id, self._emit))
        if len(answer) > probe.most:
            raise StepFailed(
                f"the host's answer to the probe of {step.id} is {len(answer) >> 10} KiB long,"
                f" more than {probe.most >> 10}",
                hint="log in by hand and see what is that large there",
                host=step.host.name,
            )
        return self._understood(step, probe.parse, answer, len(answer))

    def judge(self, step: Step[Any], check: Check[Any], state: Any) -> Change[Any] | Problem | None:
        """What the check makes of the state.  Raises StepFailed when it cannot be understood."""
        found: Change[Any] | Problem | None = self._understood(step, check.diff, state)
        return found

    def _understood(
        self, step: Step[Any], read: Callable[[Any], Any], answer: Any, size: int | None = None
    ) -> Any:
        """What was made of an answer.  The host may have said anything, so nothing is a bug yet.

        Neither the answer nor the error's words are told, for both may hold a secret, but the
        error's type and place are: if it is a bug of ours, that is where to look.
        """
        try:
            return read(answer)
        except OperatorError:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
            length = f", {size} bytes," if size is not None else ""
            self._emit(Line(step=step.id, host=step.host.name, text=f"not understood: {told}"))
            raise StepFailed(
                f"the host's answer to the probe of {step.id}{length} is not understood",
                hint="run again; if it stays so, and the host is sound, this is a bug in k3s-tui",
                tail=told,
                host=step.host.name,
            ) from error

    async def _ask(self, host: Host, ask: str) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(host, [])
        queue.append((ask, answer))
        if len(queue) == 1:
            flight = asyncio.create_task(self._fly(host))
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        return await answer

    async def _fly(self, host: Host) -> None:
        # One turn of the loop: all steps that became ready together have asked by now.
        await asyncio.sleep(0)
        asked = self._queues.pop(host)
        # Steps that look at the same thing share one look.
        asks = list(dict.fromkeys(ask for ask, _ in asked))
        try:
            answers = dict(zip(asks, await _exec(self._fleet[host], asks), strict=True))
        except Exception as error:
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        for ask, answer in asked:
            if not answer.done():  # its step was cancelled meanwhile
                answer.set_result(answers[ask])


async def _exec(connection: Connection, asks: list[str]) -> list[bytes]:
    nonce = secrets.token_hex(8)
    result = await connection.transport.exec(script.batch(asks, nonce))
    answers = script.unbatch(result.out, nonce)
    if len(answers) != len(asks):
        raise Lost("the host's answer to the probes was cut off", host=connection.host.name)
    return answers
