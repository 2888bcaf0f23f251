"""One script on its way: framed, read as it comes, and findable when it must be ended.

Before the script runs, its shell prints a line `NONCE PGID` on standard output and `NONCE` on
standard error.  What comes before is noise of the login shell (a banner, an `echo` in .bashrc).
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable

from k3s_tui.hosts.sanitize import LineDecoder
from k3s_tui.hosts.script import PRELUDE, literal
from k3s_tui.hosts.wire import Process

_NOISE_CAP = 1 << 16

OUT_CAP = 16 << 20
"""Bytes of standard output: the largest that anything of ours prints is the nodes of a cluster."""

_ERR_CAP = 4 << 20
"""Bytes of standard error that are kept, the last ones; its lines are told as they come."""

END_GROUP = """\
kill -TERM -{pgid} 2>/dev/null || exit 0
tries=0
while [ $tries -lt 20 ] && kill -0 -{pgid} 2>/dev/null; do
    sleep 0.1 2>/dev/null || sleep 1
    tries=$((tries + 1))
done
kill -KILL -{pgid} 2>/dev/null
exit 0
"""
"""Ends a process group: asked first, killed after two seconds.  busybox knows no `kill --`."""


def new_nonce() -> str:
    return f"k3s-tui-{secrets.token_hex(8)}"


def header(nonce: str) -> str:
    """Says where the output begins and which process group to kill."""
    return f"""\
{{ read -r a a a a pgid a </proc/$$/stat; }} 2>/dev/null
printf '\\n%s %s\\n' {nonce} "${{pgid:-$$}}"
printf '\\n%s\\n' {nonce} >&2
unset a pgid
"""


def run(script: str, stdin: bytes = b"") -> str:
    """A script that ends by itself.  It is read in full before any of it runs."""
    if stdin:
        return f"{PRELUDE}{literal(stdin)} | (\n:\n{script}\n); exit\n"
    return f"{PRELUDE}{{\n:\n{script}\n}} </dev/null; exit\n"


def attend(script: str) -> str:
    """A script whose standard input is the channel itself."""
    return f"{PRELUDE}{{\n:\n{script}\n}}; exit\n"


class _Framed:
    """A stream from the frame's line on; what came before is kept apart, for error messages."""

    def __init__(self, frame: re.Pattern[bytes]) -> None:
        self._frame = frame
        self.noise = bytearray()
        self.found: re.Match[bytes] | None = None

    def feed(self, data: bytes) -> bytes:
        if self.found:
            return data
        self.noise += data
        self.found = self._frame.search(bytes(self.noise))
        if not self.found:
            # Enough for a message and for a frame that is cut in two.
            del self.noise[:-_NOISE_CAP]
            return b""
        rest = bytes(self.noise[self.found.end() :])
        del self.noise[self.found.start() :]
        return rest


class Call:
    """A running script and what it has said so far.

    Both streams are read by tasks of their own, so that waiting can be cancelled without losing
    the process group's number, and a full pipe never blocks the script.
    """

    def __init__(
        self, process: Process, nonce: str, on_line: Callable[[str], None] | None = None
    ) -> None:
        self.process = process
        self.out = bytearray()
        self.err = bytearray()
        self.status: int | None = None
        self.pgid: int | None = None
        self.flooded = False
        """It said more than can be an answer: nobody reads it any more, and it has to be ended."""
        self.ready = asyncio.Event()
        """The password was taken: the shell reads its script now.  Also set at the end."""
        self.progress = asyncio.Event()
        """Set whenever there is something new to look at; cleared by who looks."""
        self._ready_line = f"\n{nonce} ready\n".encode()
        self._out = _Framed(re.compile(rb"\n%s (\d{1,10})\n" % nonce.encode()))
        self._err = _Framed(re.compile(rb"\n%s\n" % nonce.encode()))
        self._on_line = on_line
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    @property
    def ended(self) -> bool:
        return self._task.done()

    @property
    def started(self) -> bool:
        """Whether a shell of ours ran at all."""
        return self._out.found is not None

    @property
    def noise(self) -> bytes:
        """What was said before the script began: the reason, when it never did."""
        return bytes(self._err.noise + self._out.noise)

    async def end(self) -> None:
        """Wait for the end, or a flood; being cancelled here leaves the script running."""
        await self._over.wait()
        if self._task.done():
            self._task.result()

    def drop(self) -> None:
        """Stop listening."""
        self.process.close()
        self._task.cancel()

    async def _follow(self) -> None:
        try:
            await asyncio.gather(self._follow_out(), self._follow_err())
            self.status = await self.process.wait()
        finally:
            self._stir()

    def _stir(self) -> None:
        """Wake all who wait for anything of it."""
        self._over.set()
        self.ready.set()
        self.progress.set()

    async def _follow_out(self) -> None:
        while data := await self.process.read_out():
            self.out += self._out.feed(data)
            if self._out.found and self.pgid is None:
                self.pgid = int(self._out.found[1])
            if len(self.out) > OUT_CAP:
                self.flooded = True
                self.out.clear()
                self._stir()
                # What is not read blocks the script, and costs nothing here.
                await asyncio.Event().wait()
            if not self.ready.is_set() and self._ready_line in self._out.noise:
                self.ready.set()
            self.progress.set()

    async def _follow_err(self) -> None:
        lines = LineDecoder()
        while data := await self.process.read_err():
            data = self._err.feed(data)
            self.err += data
            del self.err[:-_ERR_CAP]
            self._tell(lines.feed(data))
        self._tell(lines.close())

    def _tell(self, lines: list[str]) -> None:
        if self._on_line:
            for line in lines:
                self._on_line(line)
