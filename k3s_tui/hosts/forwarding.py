"""A loopback port on the laptop that leads somewhere as seen from a host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from k3s_tui.core.errors import OperatorError

_CHUNK = 1 << 16


class ForwardingRefused(OperatorError):
    """The host's sshd does not forward TCP connections (AllowTcpForwarding no)."""


class ForwardingFailed(OperatorError):
    """The host itself could not connect to the destination."""


class Reader(Protocol):
    async def read(self, n: int = -1, /) -> bytes: ...


class Writer(Protocol):
    def write(self, data: bytes, /) -> object: ...

    async def drain(self) -> None: ...

    def write_eof(self) -> None: ...

    def close(self) -> None: ...


Dial = Callable[[], Awaitable[tuple[Reader, Writer]]]
"""Opens one connection to the destination.  Raises OperatorError when that cannot be had."""


@asynccontextmanager
async def relay(dial: Dial) -> AsyncIterator[int]:
    """Yields a port of 127.0.0.1, each connection to which is dialled and passed on.

    A client only sees its connection closed when dialling fails; so the reason of the last
    failure is raised on exit, in the place of whatever the client made of it.
    """
    failure: OperatorError | None = None
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: Reader, writer: Writer) -> None:
        nonlocal failure
        try:
            there_reader, there_writer = await dial()
        except OperatorError as error:
            failure = error
            writer.close()
            return
        failure = None
        try:
            await asyncio.gather(_pass(reader, there_writer), _pass(there_reader, writer))
        finally:
            writer.close()
            there_writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    except Exception as error:
        if failure is not None:
            raise failure from error
        raise
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if failure is not None:
        raise failure


async def _pass(reader: Reader, writer: Writer) -> None:
    """Copy one direction until its end; the other direction may go on (half-closed)."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, RuntimeError):
        # One side went away: so must the other, or its reader would wait for ever.
        writer.close()
