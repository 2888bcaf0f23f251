"""A TCP relay on loopback that spoils a connection at an exact byte, once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

Kind = Literal["reset", "truncate", "half-close", "freeze", "drop"]
Direction = Literal["up", "down"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
T = TypeVar("T")

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Fault:
    """What happens once `at` bytes have passed in one direction: `up` is to the host.

    reset: RST to both, truncate: both are closed, half-close: that direction ends and the other
    goes on, freeze: nothing passes in any direction until it is over, then everything does, drop:
    what is sent on the connections that there are arrives nowhere, then or ever.  For `seconds`
    nobody can connect; while frozen, who connects waits.
    """

    kind: Kind
    direction: Direction
    at: int
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind} {self.direction} at byte {self.at}, {self.seconds:g} s"


class _Link:
    """One connection: the client's socket, the host's, and whether anything still arrives."""

    def __init__(self, client: socket.socket, host: socket.socket) -> None:
        self.client = client
        self.host = host
        self.black = False
        self.closed = False
        self.silenced: set[Direction] = set()
        self.pumps: list[asyncio.Task[None]] = []

    def ends(self, direction: Direction) -> tuple[socket.socket, socket.socket]:
        up = direction == "up"
        return (self.client, self.host) if up else (self.host, self.client)

    async def close(self, *, reset: bool = False) -> None:
        """End it; who calls from one of its pumps has to end that one by itself."""
        others = [pump for pump in self.pumps if pump is not asyncio.current_task()]
        for pump in others:
            pump.cancel()
        # A socket that is still waited for must not be closed: its number goes to the next one.
        await asyncio.gather(*others, return_exceptions=True)
        self.closed = True
        for end in (self.client, self.host):
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    end.shutdown(socket.SHUT_RDWR)
            end.close()


class Relay:
    """Listens on `port` and leads to a port of a real server.

    `passed` counts bytes by direction.  `fired` and `back` are when the fault came and when the
    network was whole again (seconds since the epoch), None as long as it has not happened.
    Use as a context manager; it runs in a thread of its own.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}
        self.fault: Fault | None = None
        self.fired: float | None = None
        self.back: float | None = None
        self.port = 0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over: asyncio.TimerHandle | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        self._call(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def arm(self, fault: Fault | None) -> None:
        """Begin to count anew; what a fault before this one has left is gone."""
        self._call(self._arm(fault))

    def strike(self, fault: Fault) -> None:
        """At the next byte in the fault's direction, wherever that is."""
        self._call(self._strike(fault))

    async def _strike(self, fault: Fault) -> None:
        now = replace(fault, at=self.passed[fault.direction])
        self.fault, self.fired, self.back = now, None, None

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _begin(self) -> None:
        self._whole = asyncio.Event()
        self._whole.set()
        self._listen()

    def _listen(self) -> None:
        self._door = socket.socket()
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._door.bind(("127.0.0.1", self.port))
        self._door.listen(64)
        self._door.setblocking(False)
        self.port = self._door.getsockname()[1]
        self._accepting = self._spawn(self._accept(self._door))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end(self) -> None:
        await self._shut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links:
            await link.close()

    async def _shut(self) -> None:
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._door.close()

    async def _arm(self, fault: Fault | None) -> None:
        for link in list(self._links):
            await link.close()
        self._links.clear()
        if self._over:
            self._over.cancel()
        self._whole.set()
        if self._door.fileno() < 0:
            self._listen()
        self.passed = {"up": 0, "down": 0}
        self.fault, self.fired, self.back = fault, None, None

    async def _accept(self, door: socket.socket) -> None:
        while True:
            client, _ = await self._loop.sock_accept(door)
            self._spawn(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        await self._whole.wait()
        host = socket.socket()
        host.setblocking(False)
        link = _Link(client, host)
        self._links.add(link)
        for end in (client, host):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._loop.sock_connect(host, ("127.0.0.1", self._to))
        link.pumps = [self._spawn(self._pump(link, direction)) for direction in DIRECTIONS]
        await asyncio.gather(*link.pumps, return_exceptions=True)
        if not link.black:  # of one that is, no end ever hears
            await link.close()
            self._links.discard(link)

    async def _pump(self, link: _Link, direction: Direction) -> None:
        source, sink = link.ends(direction)
        while data := await self._loop.sock_recv(source, _CHUNK):
            await self._whole.wait()
            fault = self.fault
            left = fault.at - self.passed[direction] if fault else 0
            due = fault and self.fired is None and fault.direction == direction
            if fault and due and len(data) >= left:
                await self._pass(link, direction, data[:left])
                await self._inject(fault, link)
                if link.closed:
                    return
                await self._whole.wait()
                data = data[left:]
            await self._pass(link, direction, data)
        if not link.black:
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    async def _pass(self, link: _Link, direction: Direction, data: bytes) -> None:
        if data and not link.black and direction not in link.silenced:
            self.passed[direction] += len(data)
            await self._loop.sock_sendall(link.ends(direction)[1], data)

    async def _inject(self, fault: Fault, link: _Link) -> None:
        self.fired = time.time()
        match fault.kind:
            case "freeze":
                self._whole.clear()
                self._over = self._loop.call_later(fault.seconds, self._thaw)
                return
            case "half-close":
                link.silenced.add(fault.direction)
                with contextlib.suppress(OSError):
                    link.ends(fault.direction)[1].shutdown(socket.SHUT_WR)
            case "drop":
                for one in self._links:
                    one.black = True
            case "reset" | "truncate":
                for one in list(self._links):
                    await one.close(reset=fault.kind == "reset")
                self._links.clear()
        if fault.seconds:
            await self._shut()
            self._over = self._loop.call_later(fault.seconds, self._reopen)
        else:
            self.back = time.time()

    def _thaw(self) -> None:
        self.back = time.time()
        self._whole.set()

    def _reopen(self) -> None:
        self._listen()
        self.back = time.time()
