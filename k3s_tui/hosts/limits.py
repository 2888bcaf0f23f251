"""How much at once: logins per route (MaxStartups) and channels per connection (MaxSessions)."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LOGINS, LOGINS_PER_ROUTE = 64, 8
"""sshd drops logins beyond 10 at once; all hosts behind a jump host share its limit."""

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
