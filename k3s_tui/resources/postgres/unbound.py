"""A PostgreSQL session whose TLS is somebody else's: the offer to bind to that TLS is taken out.

libpq ends the session when it is offered SCRAM-SHA-256-PLUS and has no TLS of its own.  Without
that offer it authenticates by SCRAM-SHA-256, which the server allows: the client says that it can
bind to nothing, and TLS is checked where it is spoken.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from k3s_tui.hosts.forwarding import Reader, Writer, relay

_SASL = 10
_LARGEST = 1 << 16


@asynccontextmanager
async def unbound(port: int) -> AsyncIterator[int]:
    """A port of 127.0.0.1 that leads to `port`."""

    async def dial() -> tuple[Reader, Writer]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return _Unbound(reader), writer

    async with relay(dial) as local:
        yield local


class _Unbound:
    """Keeps `Reader`.  Only the server's first message is looked at: with TLS elsewhere, it is the
    authentication that it wants.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._first = True

    async def read(self, n: int = -1, /) -> bytes:
        if not self._first:
            return await self._reader.read(n)
        self._first = False
        try:
            head = await self._reader.readexactly(5)
            length = int.from_bytes(head[1:], "big")
            if not 4 <= length <= _LARGEST:
                return head
            return without_binding(head + await self._reader.readexactly(length - 4))
        except asyncio.IncompleteReadError as ended:
            return ended.partial


def without_binding(message: bytes) -> bytes:
    """A whole message of the server's; its list of SASL mechanisms without those that bind."""
    if message[:1] != b"R" or message[5:9] != struct.pack("!i", _SASL):
        return message
    mechanisms = [m for m in message[9:].split(b"\0") if m and not m.endswith(b"-PLUS")]
    body = message[5:9] + b"".join(m + b"\0" for m in mechanisms) + b"\0"
    return b"R" + struct.pack("!i", len(body) + 4) + body
