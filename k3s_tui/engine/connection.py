"""A host as the engine holds it: connected, locked, and connected again after a loss."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import TypeAlias

from k3s_tui.core.contract import Host
from k3s_tui.core.errors import Lost, OperatorError, Unreachable
from k3s_tui.core.events import Emit, HostState
from k3s_tui.engine.lock import RunIdentity, lock_host
from k3s_tui.hosts.transport import Transport

Connect: TypeAlias = Callable[[], Awaitable[Transport]]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 3.0
"""Seconds between two tries to connect again: what is back is to be noticed at once."""

_LOCK_SECONDS = 60


class Connection:
    """One host's transport and, when `identity` is given, the lock that this run holds on it.

    The lock lives on the connection: it dies with it and is taken again with the next one.
    """

    def __init__(
        self, host: Host, connect: Connect, emit: Emit, identity: RunIdentity | None = None
    ) -> None:
        self.host = host
        self._connect = connect
        self._emit = emit
        self._identity = identity
        self._transport: Transport | None = None
        self._held = AsyncExitStack()
        self._mending = asyncio.Lock()

    @property
    def transport(self) -> Transport:
        if self._transport is None:
            raise Lost("not connected", host=self.host.name)
        return self._transport

    async def open(self) -> None:
        """Connect and lock.  Raises what the transport raises, or `Locked`."""
        self._emit(HostState(host=self.host.name, state="connecting"))
        try:
            transport = await self._connect()
            try:
                await self._lock(transport)
            except BaseException:
                await transport.close()
                raise
        except OperatorError as error:
            self._emit(HostState(host=self.host.name, state="failed", detail=str(error)))
            raise
        self._transport = transport
        self._emit(HostState(host=self.host.name, state="connected"))

    async def _lock(self, transport: Transport) -> None:
        if self._identity is None:
            return
        try:
            async with asyncio.timeout(_LOCK_SECONDS):
                await self._held.enter_async_context(lock_host(transport, self._identity))
        except TimeoutError:
            raise Unreachable(
                f"no answer to the request for its lock within {_LOCK_SECONDS} s",
                host=self.host.name,
                hint="log in by hand and see what hangs there",
            ) from None

    async def ready(self) -> Transport:
        """The transport, connected again if it was lost.

        Tries for as long as the caller's deadline allows.  A refusal (key changed, locked) is
        final; only an unreachable host is tried again.
        """
        async with self._mending:
            pause = _FIRST_PAUSE
            while self._transport is None:
                try:
                    await self.open()
                except (Unreachable, Lost):
                    await asyncio.sleep(pause * random.uniform(0.8, 1.0))
                    pause = min(2 * pause, _LONGEST_PAUSE)
            return self._transport

    async def lose(self, broken: Transport) -> None:
        """Give up a transport that was found broken, unless somebody already has."""
        async with self._mending:
            if self._transport is broken:
                self._emit(HostState(host=self.host.name, state="lost"))
                await self._drop()

    async def close(self) -> None:
        if self._transport is not None:
            await self._drop()
            self._emit(HostState(host=self.host.name, state="closed"))

    async def _drop(self) -> None:
        transport, self._transport = self._transport, None
        held, self._held = self._held, AsyncExitStack()
        try:
            await held.aclose()
        except OperatorError:
            pass  # The lock was already gone with the connection.
        finally:
            if transport is not None:
                await transport.close()


Fleet: TypeAlias = Mapping[Host, Connection]


async def open_all(fleet: Fleet) -> None:
    """Connect to every host side by side.

    Raises ExceptionGroup of OperatorError when any failed, after all have ended, so that the
    operator sees every unreachable host at once and not one per attempt.
    """
    done = await asyncio.gather(*(c.open() for c in fleet.values()), return_exceptions=True)
    failures = [outcome for outcome in done if isinstance(outcome, BaseException)]
    if failures:
        raise BaseExceptionGroup("not every host could be connected", failures)


async def close_all(fleet: Fleet) -> None:
    await asyncio.gather(*(c.close() for c in fleet.values()), return_exceptions=True)
