"""What the engine asks of a connection.  `ssh` and `local` keep this contract."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from k3s_tui.core.contract import Host


@dataclass(frozen=True, slots=True)
class Result:
    """A script that ran to its end.  One that did not raises `Lost` instead."""

    status: int
    out: bytes
    err: bytes


class Transport(Protocol):
    """A connection to one host, as root.

    Every script runs as `PRELUDE` + script on the standard input of `exec /bin/sh -s`, in a
    process group of its own; cancelling the call kills that group on the host.
    """

    @property
    def host(self) -> Host: ...

    async def exec(
        self,
        script: str,
        *,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Run a script; `on_line` gets each line of standard error, sanitized, as it comes.

        `stdin` is what the script reads as its standard input (nothing by default).
        Raises `Lost` when the connection ends before a status came.
        """
        ...

    async def put(
        self, path: str, source: Path, on_sent: Callable[[int, int], None] | None = None
    ) -> None:
        """Upload a file: temp file beside `path`, checksum, 0600 root, rename.

        What arrived of a file whose upload was cut off stays beside `path`, in a folder that only
        root can write to, and the next upload of the same content goes on from there.  `on_sent`
        gets the bytes that are there and those of the whole, as they grow.
        Raises StepFailed, Lost.
        """
        ...

    def hold(self, script: str) -> AbstractAsyncContextManager[str]:
        """Run a script that prints one line and then stays; yields that line, ends it on exit.

        The line is '' when the script ended without one.
        """
        ...

    def forward(self, address: str, port: int) -> AbstractAsyncContextManager[int]:
        """A loopback port here that leads to `address:port` as seen from the host."""
        ...

    def through(self, script: str) -> AbstractAsyncContextManager[int]:
        """A loopback port here, each connection to which talks to a script on the host.

        The script prints one line first; from then on its standard input and output are the
        connection.
        """
        ...

    async def close(self) -> None: ...
