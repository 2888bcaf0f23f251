"""Two locks keep two runs apart: one beside the recordings on the laptop, one on each host.

The host's lock is a `flock` that a process on an SSH channel holds: the kernel frees it when that
process dies, no clock is compared, and nobody is left locked out by a crash (k0sctl #517, #572).
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.errors import Locked
from k3s_tui.core.files import write_atomically
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote
from k3s_tui.hosts.transport import Transport

HOST_FOLDER = "/run/k3s-tui"

_UNNAMED_SECONDS = 3
"""How long a holder has to say who it is; then it is told that nobody knows."""
_AGAIN = 0.05
"""Seconds between looks for its name, on the laptop."""


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Who runs: shown to whoever finds the lock taken."""

    run: str
    who: str

    @classmethod
    def of(cls, run: str) -> RunIdentity:
        return cls(run, f"{getpass.getuser()}@{platform.node()}")

    @property
    def since(self) -> str:
        """When it began, as its name says; '' for a name that does not."""
        moment = re.match(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)-", self.run)
        return "{}-{}-{} {}:{}:{} UTC".format(*moment.groups()) if moment else ""

    def __str__(self) -> str:
        since = f" since {self.since}" if self.since else ""
        return f"{self.run} by {self.who}{since}"


@contextmanager
def lock_profile(path: Path, identity: RunIdentity | None = None) -> Iterator[None]:
    """Hold the laptop's lock of one profile; `identity` is for whoever finds it taken.

    Raises `Locked` when another run has it, saying which.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    holder = path.with_name(f"{path.name}.holder")
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Locked(
            f"another run of this profile is under way on this machine{_named(holder)}",
            hint="wait for it to end; to see it, look for another k3s-tui process",
        ) from None
    try:
        with suppress(OSError):
            write_atomically(holder, f"{os.getpid()} {identity or ''}".encode())
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a run of this profile is under way on this machine.

    It takes the lock for a moment: ask only where a run has not said that it ended.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, timeout=0) if path.exists() else nullcontext():
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _named(holder: Path) -> str:
    """Who holds the lock, after a colon; '' when that is not known.

    Whoever has just got it has not said so yet, and one that was killed is still named: what names
    no process of now is looked at again.
    """
    until = time.monotonic() + _UNNAMED_SECONDS
    while True:
        with suppress(OSError, ValueError):
            pid, _, text = sanitize(holder.read_text(errors="replace")[:200]).partition(" ")
            if _lives(int(pid)):
                return f": {text}" if text else ""
        if time.monotonic() > until:
            return ""
        time.sleep(_AGAIN)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


@asynccontextmanager
async def lock_host(
    transport: Transport, identity: RunIdentity, folder: str = HOST_FOLDER
) -> AsyncIterator[None]:
    """Hold a host's lock while the context lasts.  Raises `Locked`, naming the holder."""
    async with transport.hold(_script(identity, folder)) as answer:
        verdict, _, holder = answer.partition(" ")
        if verdict != "held":
            raise Locked(
                f"another run holds this host's lock: {holder or 'its name is not known yet'}",
                host=transport.host.name,
                hint=f"it is freed when that run ends; the lock is {folder}/lock on the host",
            )
        yield


def _script(identity: RunIdentity, folder: str) -> str:
    """Prints `held`, or `busy HOLDER`; then lives for as long as its standard input does.

    `holder` is believed only while the process that it names has the lock's file open: whoever has
    just got the lock has not written it yet, and until then it names a run that is over.

    A holder with our own run's name is the ghost of a connection that we lost and its sshd has
    not noticed yet: it is told to go.
    """
    return f"""
mkdir -p {quote(folder)} && cd {quote(folder)} || exit 1
exec 9>>lock
tries=0
until flock -n 9; do
    pid= run= rest=
    read -r pid run rest <holder
    if [ "$(readlink "/proc/$pid/fd/9")" = "$(readlink "/proc/$$/fd/9")" ]; then
        if [ "$run" = {quote(identity.run)} ]; then
            kill "$pid"
            flock -w 5 9 && break
        fi
        echo "busy $run $rest"
        exit 75
    fi
    tries=$((tries + 1))
    if [ $tries -gt {_UNNAMED_SECONDS} ]; then
        echo busy
        exit 75
    fi
    sleep 1
done
echo "$$ "{quote(str(identity))} >holder
echo held
exec cat >/dev/null
"""
