"""What a step is.

A resource *looks* (a probe that changes nothing), *compares* (a pure diff) and *mends* (apply).
The engine verifies by looking again, so no resource can lie about what it did, and a dry run is
the same code minus the mending.  See design.md §3 for the reasoning behind each part.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

S = TypeVar("S")
"""What a probe found: frozen and comparable; secrets in it only as `Secret`."""


@dataclass(frozen=True, slots=True)
class Host:
    """One machine, by its name in the profile. How it is reached is the transport's affair."""

    name: str

    def __str__(self) -> str:
        return self.name


LAPTOP = Host("laptop")
"""The operator's machine: kubeconfig and recorded checksums are steps too."""


@dataclass(frozen=True)
class Probe(Generic[S]):
    """Looks, changes nothing.

    `ask` is POSIX sh text, which travels with the host's other ready probes in one exec and whose
    standard output goes to `parse`; or a coroutine, for what needs more than a shell (a login
    through a forwarded port, a file on the laptop).  `parse` gets what was printed even when the
    script failed half way: an empty answer is an answer.  One of more than `most` bytes is none:
    what is made of it takes many times that.
    """

    ask: str | Callable[[Hands], Awaitable[bytes]]
    parse: Callable[[bytes], S]
    most: int = 1 << 20


@dataclass(frozen=True)
class Change(Generic[S]):
    """Something to do.  `after` is the promised state; None when it is known only once done.

    `warning` is what the plan has to tell of it besides, with a `hint`: what it does to others.
    """

    summary: str
    diff: str = ""
    after: S | None = None
    warning: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Problem:
    """Not as wanted, and not ours to change: the engine waits for it, then fails.

    With `warning` it is only told, and the step counts as ok.
    """

    text: str
    hint: str = ""
    warning: bool = False


class Check(Protocol[S]):
    """A preflight, a wait, a proof, or a value that later steps read."""

    def probe(self) -> Probe[S]: ...

    def diff(self, now: S) -> Change[S] | Problem | None: ...


class Telling(Check[S], Protocol[S]):
    """A check that has something to say of what it found right; few have."""

    def says(self, now: S) -> str: ...


class Resource(Check[S], Protocol[S]):
    """A check that can mend what it found."""

    async def apply(self, on: Hands, change: Change[S]) -> None: ...


class Hands(Protocol):
    """All of a host that a step can touch."""

    @property
    def host(self) -> Host: ...

    async def sh(self, script: str, *, stdin: bytes = b"") -> bytes:
        """Run POSIX sh as root and return its standard output.

        Standard error becomes log lines.  `stdin` feeds the whole script, binary-safe.
        Raises `StepFailed` with the last lines when the status is not 0, `Lost` when the
        connection went away before a status came.
        """
        ...

    async def put(self, path: str, source: Path) -> None:
        """Place a local file at `path`, root-owned 0600, atomically and checksummed.

        Goes on from what arrived of the same content before, whenever that was.
        """
        ...

    async def job(self, name: str, script: str) -> None:
        """Run `script` detached from this connection, or re-attach to the one already running.

        For work that must survive a lost connection (packages, K3s).  Identified by name and
        script digest.  The script holds no secret: it is kept on the host with its log.
        """
        ...

    def forward(self, address: str, port: int) -> AbstractAsyncContextManager[int]:
        """A port on the laptop's loopback that leads to `address:port` as seen from this host."""
        ...

    def through(self, script: str) -> AbstractAsyncContextManager[int]:
        """A port on the laptop's loopback; each connection to it talks to a `script` of its own.

        The script prints one line when it is ready to listen; what follows is the conversation.
        For what only the host can say to another one, such as by a key that must not leave it.
        """
        ...

    def waiting(self, condition: str, seen: str) -> None:
        """Say what this step waits for and the last value it saw."""
        ...


class Seen(Protocol):
    """The states of a step's needs: promised ones while planning, probed ones while running."""

    def __getitem__(self, step: Step[S]) -> S: ...


@dataclass(frozen=True, eq=False)
class Step(Generic[S]):
    """One thing to make true on one host, after the steps it needs.

    `id` is `host/chapter/what`: stable and public.  `ensure` is a callable when the resource is
    built from what other steps found; it may read only steps named in `needs`.
    """

    id: str
    host: Host
    ensure: Check[S] | Callable[[Seen], Check[S]]
    needs: tuple[Step[Any], ...] = ()
    within: float = 120.0
    """Seconds for looking, waiting, mending and verifying together."""


Verdict = Literal["ok", "change", "later", "problem"]
