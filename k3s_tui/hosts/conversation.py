"""A running script as the two ends of a connection."""

from __future__ import annotations

from collections.abc import Callable

from k3s_tui.hosts.call import Call


class Conversation:
    """Keeps `Reader` and `Writer`.  `end` ends the script; it is called once, by `close`."""

    def __init__(self, call: Call, end: Callable[[], object]) -> None:
        self._call = call
        self._end: Callable[[], object] | None = end
        self._unsent = bytearray()

    async def read(self, n: int = -1, /) -> bytes:
        """What there is, at least a byte; b'' at the end."""
        call = self._call
        while not call.out and not call.ended and not call.flooded:
            call.progress.clear()
            await call.progress.wait()
        size = len(call.out) if n < 0 else n
        data = bytes(call.out[:size])
        del call.out[:size]
        return data

    def write(self, data: bytes, /) -> None:
        self._unsent += data

    async def drain(self) -> None:
        data = bytes(self._unsent)
        self._unsent.clear()
        if not await self._call.process.write(data):
            raise ConnectionError("the script reads no more")

    def write_eof(self) -> None:
        self._call.process.write_eof()

    def close(self) -> None:
        if self._end is not None:
            end, self._end = self._end, None
            end()
