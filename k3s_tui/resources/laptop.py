"""Files on the operator's machine that are part of the result."""

from __future__ import annotations

import hashlib
import json
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.contract import LAPTOP, Change, Hands, Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.files import write_atomically
from k3s_tui.core.secret import Secret
from k3s_tui.profile import lockfile


@dataclass(frozen=True)
class LocalState:
    digest: str = ""
    mode: int = 0


@dataclass(frozen=True)
class LocalFile:
    """A secret file, 0600."""

    path: Path
    content: Secret

    def probe(self) -> Probe[LocalState]:
        async def ask(_: Hands) -> bytes:
            try:
                content, mode = self.path.read_bytes(), self.path.stat().st_mode
            except FileNotFoundError:
                return b""
            except OSError as error:
                raise _failed("read", self.path, error) from None
            return f"{hashlib.sha256(content).hexdigest()} {stat.S_IMODE(mode)}".encode()

        return Probe(ask, _parse)

    def diff(self, now: LocalState) -> Change[LocalState] | None:
        want = LocalState(hashlib.sha256(self.content.reveal().encode()).hexdigest(), 0o600)
        return None if now == want else Change(f"write {self.path.name}", after=want)

    async def apply(self, on: Hands, change: Change[LocalState]) -> None:
        try:
            write_atomically(self.path, self.content.reveal().encode())
        except OSError as error:
            raise _failed("written", self.path, error) from None


def _parse(out: bytes) -> LocalState:
    if not out:
        return LocalState()
    digest, mode = out.decode().split()
    return LocalState(digest, int(mode))


@dataclass(frozen=True)
class RecordedSums:
    """Checksums of what is installed, in the lock file, for this version and script URL.

    Recorded once; what differs from the record afterwards is refused, never replaced.
    """

    path: Path
    version: str
    script_url: str
    sums: Mapping[str, str]

    def probe(self) -> Probe[Mapping[str, str]]:
        async def ask(_: Hands) -> bytes:
            found = lockfile.load(self.path).checksums(self.version, self.script_url)
            return json.dumps(found).encode()

        return Probe(ask, json.loads)

    def diff(self, now: Mapping[str, str]) -> Change[Mapping[str, str]] | Problem | None:
        for name, digest in self.sums.items():
            if now.get(name, digest) != digest:
                return Problem(
                    f"{name} of {self.version} has the SHA-256 {digest}, "
                    f"and {now[name]} is recorded in {self.path.name}",
                    "find out why it changed before you remove the recorded line",
                )
        new = [name for name in self.sums if name not in now]
        if not new:
            return None
        return Change(
            f"record the SHA-256 of {', '.join(new)} in {self.path.name}",
            after={**now, **self.sums},
        )

    async def apply(self, on: Hands, change: Change[Mapping[str, str]]) -> None:
        try:
            lockfile.record_checksums(self.path, self.version, self.script_url, self.sums)
        except OSError as error:
            raise _failed("written", self.path, error) from None


def _failed(what: str, path: Path, error: OSError) -> StepFailed:
    """The folder may be missing or read-only, or a folder may be in the file's place."""
    where = path if path.is_dir() or not error.filename else Path(error.filename)
    where = next(there for there in (where, *where.parents) if there.exists())
    return StepFailed(
        f"{path} cannot be {what}: {error.strerror or type(error).__name__}",
        hint=f"look at `ls -ld {shlex.quote(str(where))}`, mend that, then run again",
        host=LAPTOP.name,
    )
