"""What a shell on a host is carried by: an SSH connection, or nothing at all on the laptop."""

from __future__ import annotations

from typing import Protocol

from k3s_tui.hosts.forwarding import Reader, Writer


class ChannelRefused(Exception):
    """The connection carries no further channel now (MaxSessions); it goes on working."""


class Process(Protocol):
    """A command that runs on a host.  A broken connection shows as an end of both streams."""

    async def write(self, data: bytes) -> bool:
        """Send to standard input; False once nobody reads any more."""
        ...

    def write_eof(self) -> None: ...

    async def read_out(self) -> bytes:
        """The next bytes of standard output; empty at its end."""
        ...

    async def read_err(self) -> bytes: ...

    async def wait(self) -> int | None:
        """The exit status, 128+n for signal n, None when the connection broke before it came."""
        ...

    def terminate(self) -> None: ...

    def close(self) -> None: ...


class Wire(Protocol):
    async def start(self, command: str) -> Process:
        """Run a command by the login shell.  Raises ChannelRefused or Lost."""
        ...

    async def dial(self, address: str, port: int) -> tuple[Reader, Writer]:
        """Connect from the host.  Raises ForwardingRefused, ForwardingFailed or Lost."""
        ...

    async def close(self) -> None: ...
