"""How much at once: logins per route (MaxStartups) and channels per connection (MaxSessions)."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")

LOGINS, LOGINS_PER_ROUTE = 64, 8
"""sshd drops logins beyond 10 at once; all hosts behind a jump host share its limit."""

KNOCK = 3.0
"""Seconds after which another first packet is sent to a host that has not answered the last one.

The system's own tries come 1, 3, 7 and 15 s after the first: too late for a network that is back.
"""

CHANNELS = 8
"""sshd allows 10 sessions per connection; two stay free for ending what runs in the others."""


class Logins:
    """Lets so many handshakes run at once, fewer along one route."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(LOGINS)
        self._routes: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(LOGINS_PER_ROUTE)
        )

    @asynccontextmanager
    async def one(self, route: str) -> AsyncIterator[None]:
        # The route first: those who wait for a slow jump host hold no place of the others.
        async with self._routes[route], self._all:
            yield


def backoff(attempt: int) -> float:
    """Seconds before the next attempt, doubling from 0.1 to 3.2, with jitter."""
    return 0.1 * 2.0 ** min(attempt, 5) * random.uniform(0.5, 1.5)


async def knock(dial: Callable[[], Awaitable[T]], answered: asyncio.Event) -> T:
    """Dial, and anew whenever nobody has answered; once somebody has, see it through.

    `dial` sets `answered` as soon as there is a connection.  The caller limits the whole of it.
    """
    while True:
        answered.clear()
        waiting = asyncio.ensure_future(answered.wait())
        dialling = asyncio.ensure_future(dial())
        try:
            await asyncio.wait(
                {waiting, dialling}, timeout=KNOCK, return_when=asyncio.FIRST_COMPLETED
            )
            if answered.is_set() or dialling.done():
                return await dialling
        finally:
            waiting.cancel()
            if not dialling.done():
                dialling.cancel()
                await asyncio.gather(dialling, return_exceptions=True)
