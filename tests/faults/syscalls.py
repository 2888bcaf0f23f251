"""A writer of files under strace: killed at any of its system calls, or its calls written down.

What was written down is played back on a model of a disk that keeps no promise but fsync's, which
tells every state that a power loss could leave.
"""

from __future__ import annotations

import itertools
import os
import re
import select
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.processes import start_time

CALLS = (
    "openat,open,creat,write,pwrite64,writev,ftruncate,fchmod,fchown,chmod,fsync,fdatasync,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,close"
)
"""What can change a file, or what a crash leaves of it."""

Writer = Callable[[], None]


Point = tuple[str, int]
"""A call's name, and which one of that name it is: from 1."""


def points_of(writer: Writer) -> list[Point]:
    """Where the writer can be killed: each of its calls, in turn."""
    counts: Counter[str] = Counter()
    points = []
    for line in calls_of(writer):
        call = _CALL.match(line)
        if call is not None:
            counts[call["name"]] += 1
            points.append((call["name"], counts[call["name"]]))
    return points


def kill_at(point: Point, writer: Writer) -> bool:
    """Run the writer in a process of its own that is killed on entering that call.

    Returns whether it was: another run of it may make a call less, and end well.
    """
    name, number = point
    status, _ = _traced(writer, [f"--inject={name}:signal=KILL:when={number}"])
    assert status in (0, -signal.SIGKILL), f"the writer itself failed: {status}"
    return status != 0


def calls_of(writer: Writer) -> list[str]:
    """The calls that the writer makes, as strace writes them, strings in hex."""
    status, lines = _traced(writer, ["-xx", "-s", "10000000"])
    assert status == 0, f"the writer itself failed: {status}"
    return lines


def _traced(writer: Writer, options: list[str]) -> tuple[int, list[str]]:
    """Fork, attach strace, let the writer go; its status, negative for a signal, and the trace."""
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go_write)
            os.read(go_read, 1)
            writer()
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(go_read)
    tracer = subprocess.Popen(
        ["strace", "-q", "-y", "-p", str(pid), f"--trace={CALLS}", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _wait_until_traced(pid, tracer)
        os.write(go_write, b"x")
        _, told = tracer.communicate(timeout=60)
    finally:
        os.close(go_write)
        if tracer.poll() is None:
            tracer.kill()
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), told.decode(errors="replace").splitlines()


def _wait_until_traced(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    status = Path(f"/proc/{pid}/status")
    assert start_time(pid) is not None
    while f"TracerPid:\t{tracer.pid}\n" not in status.read_text():
        assert tracer.poll() is None and time.monotonic() < deadline, "strace does not attach"
        select.select([], [], [], 0.001)


# -- what a power loss leaves ---------------------------------------------------------------------

_CALL = re.compile(r"(?P<name>\w+)\((?P<words>.*)\)\s+= (?P<result>-?\d+)(?:<(?P<path>.*?)>)?")
_WORD = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class _Inode:
    """`synced` would be there for sure; `writes` came since, each an offset and its bytes."""

    synced: bytes = b""
    writes: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def now(self) -> bytes:
        return _written(self.synced, self.writes)

    def after_power_loss(self) -> Iterator[bytes]:
        """Any first part of the writes, the last of them whole, torn, or a hole of zeros.

        A disk may also forget a write and keep one that came later; what was forgotten is zeros.
        """
        yield self.synced
        for count in range(1, len(self.writes) + 1):
            *before, (offset, data) = self.writes[:count]
            for cut in {1, len(data) // 2, len(data) - 1, len(data)} - {0}:
                yield _written(self.synced, [*before, (offset, data[:cut])])
            yield _written(self.synced, [*before, (offset, bytes(len(data)))])
            if before:
                holes = [(at, bytes(len(lost))) for at, lost in before]
                yield _written(self.synced, [*holes, (offset, data)])


def _written(content: bytes, writes: list[tuple[int, bytes]]) -> bytes:
    made = bytearray(content)
    for offset, data in writes:
        made += bytes(max(0, offset - len(made)))
        made[offset : offset + len(data)] = data
    return bytes(made)


@dataclass
class Disk:
    """Files of one folder.  Names, like contents, are safe only once the folder was synced.

    A change of names is one entry of `pending`: it happened as a whole, or not yet.
    """

    folder: Path
    names: dict[str, _Inode] = field(default_factory=dict)
    pending: list[dict[str, _Inode | None]] = field(default_factory=list)
    _open: dict[int, tuple[_Inode, int]] = field(default_factory=dict)
    _folders: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """What lies there now, all of it safe."""
        files = (path for path in folder.iterdir() if path.is_file())
        return cls(folder, {path.name: _Inode(path.read_bytes()) for path in files})

    @property
    def current(self) -> dict[str, _Inode]:
        return self._with(self.pending)

    def _with(self, changes: list[dict[str, _Inode | None]]) -> dict[str, _Inode]:
        found: dict[str, _Inode | None] = dict(self.names)
        for change in changes:
            found.update(change)
        return {name: inode for name, inode in found.items() if inode is not None}

    def after_power_loss(self) -> Iterator[dict[str, bytes]]:
        """Every state that the model allows: names by the subset of changes that came through."""
        for mask in itertools.product((True, False), repeat=len(self.pending)):
            names = self._with(list(itertools.compress(self.pending, mask)))
            contents = [list(inode.after_power_loss()) for inode in names.values()]
            for chosen in itertools.product(*contents):
                yield dict(zip(names, chosen, strict=True))

    def play(self, line: str) -> bool:
        """Do what a line of the trace did; whether it concerned this folder."""
        call = _CALL.search(line)
        if call is None or call["result"].startswith("-"):
            return False
        name, words, result = call["name"], call["words"], int(call["result"])
        strings = [bytes.fromhex(word.replace("\\x", "")) for word in _WORD.findall(words)]
        first = re.match(r"(\d+)", words)
        number = int(first[1]) if first else -1
        match name:
            case "openat" | "open":
                return self._opened(strings[0], words, result)
            case "write":
                return self._write(number, strings[0])
            case "fsync" | "fdatasync":
                return self._sync(number)
            case "rename" | "renameat" | "renameat2":
                return self._rename(*strings)
            case "unlink" | "unlinkat":
                here = self._here(strings[0])
                if here:
                    self.pending.append({here: None})
                return bool(here)
            case "close":
                self._folders.discard(number)
                self._open.pop(number, None)
                return False
            case _ if name in ("fchmod", "fchown") or not any(map(self._here, strings)):
                return False
            case _:
                raise AssertionError(f"the model does not know {line!r}")

    def _here(self, path: bytes) -> str:
        """The name of a file of this folder, '' for another's."""
        whole = Path(os.fsdecode(path))
        return whole.name if whole.parent == self.folder else ""

    def _opened(self, path: bytes, words: str, number: int) -> bool:
        if Path(os.fsdecode(path)) == self.folder:
            self._folders.add(number)
            return True
        name = self._here(path)
        if not name:
            return False
        inode = self.current.get(name)
        if inode is None:
            inode = _Inode()
            self.pending.append({name: inode})
        elif "O_TRUNC" in words:
            # It is the same file, and nothing says when its content went.
            inode.synced, inode.writes = b"", []
        self._open[number] = inode, len(inode.now) if "O_APPEND" in words else 0
        return True

    def _write(self, number: int, data: bytes) -> bool:
        if number not in self._open:
            return False
        inode, at = self._open[number]
        inode.writes.append((at, data))
        self._open[number] = inode, at + len(data)
        return True

    def _sync(self, number: int) -> bool:
        if number in self._folders:
            self.names, self.pending = self.current, []
            return True
        if number in self._open:
            inode = self._open[number][0]
            inode.synced, inode.writes = inode.now, []
            return True
        return False

    def _rename(self, source: bytes, target: bytes) -> bool:
        old, new = self._here(source), self._here(target)
        if not old and not new:
            return False
        assert old and new, "renamed out of the folder, or into it"
        self.pending.append({new: self.current[old], old: None})
        return True
