"""Every program that starts below a process, with its words and its environment, whole.

`python -m tests.faults.execs OUT PID…` attaches to the processes and to all that they start, as
strace does, but stops them only where a program begins or a process forks: hosts keep their pace.
What it reads at the beginning of a program is what the kernel was given: no sample, no cut.  It
says `ready` on standard output, and ends on SIGTERM; those that it watched go on.

It does not see calls that failed: a program that is not there starts nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import paths as repository

_CONT, _SEIZE, _LISTEN = 7, 0x4206, 0x4208
_FORKS, _EXEC, _STOP = (1, 2, 3), 4, 128
_OPTIONS = 0x02 | 0x04 | 0x08 | 0x10
_ALL = 0x40000000
"""Of waitpid: threads, too."""

_STOPPING = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


def _ptrace(request: int, task: int, data: int = 0) -> bool:
    return int(_LIBC.ptrace(request, task, None, data)) == 0


def _words(pid: int, name: str) -> list[str]:
    try:
        content = Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return []
    return content.rstrip(b"\0").decode(errors="surrogateescape").split("\0")


def _started(pid: int) -> str:
    told = {name: _words(pid, name) for name in ("cmdline", "environ")}
    return json.dumps({"pid": pid, **told}) + "\n"


def _attach(pids: Sequence[int]) -> None:
    """To every thread there is; until a look finds no new one."""
    seen: set[int] = set()
    while True:
        tasks = {
            int(task.name)
            for pid in pids
            for task in (
                Path(f"/proc/{pid}/task").iterdir() if Path(f"/proc/{pid}").exists() else ()
            )
        }
        if not tasks - seen:
            return
        for task in tasks - seen:
            _ptrace(_SEIZE, task, _OPTIONS)  # refused where it is ours already
        seen |= tasks


def _follow(out: int) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, _ALL)
        except ChildProcessError:
            return
        if not os.WIFSTOPPED(status):
            continue
        number, event = os.WSTOPSIG(status), status >> 16
        if event == _EXEC:
            os.write(out, _started(pid).encode())
        if event == _STOP and number in _STOPPING:
            _ptrace(_LISTEN, pid)
        else:
            _ptrace(_CONT, pid, 0 if event else number)


def _main(target: str, pids: Sequence[int]) -> None:
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    _attach(pids)
    print("ready", flush=True)
    _follow(out)


@dataclass(frozen=True)
class Started:
    """The programs of a watch, as they were started."""

    path: Path

    @property
    def content(self) -> bytes:
        """All words and environments, as they were."""
        return b"\n".join(
            b"\0".join(
                word.encode(errors="surrogateescape")
                for word in found["cmdline"] + found["environ"]
            )
            for found in map(json.loads, self.path.read_text().splitlines())
        )

    @property
    def commands(self) -> list[str]:
        """The words of each, by blanks."""
        return [" ".join(json.loads(line)["cmdline"]) for line in self.path.open()]


def of_pid_namespace(init: int) -> list[int]:
    """All processes of a container, by the number of its first one on this machine."""
    space = Path(f"/proc/{init}/ns/pid").readlink()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "ns" / "pid").readlink() == space:
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


@contextmanager
def watched(path: Path, pids: Sequence[int]) -> Iterator[Started]:
    """Write down every program that these processes, and what they start, begin meanwhile."""
    path.touch(0o600)
    watcher = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.execs", str(path), *map(str, pids)],
        stdout=subprocess.PIPE,
        cwd=repository.REPOSITORY,
    )
    assert watcher.stdout is not None
    try:
        assert watcher.stdout.readline() == b"ready\n"
        yield Started(path)
        assert watcher.poll() is None, "the watch ended too early"
    finally:
        watcher.terminate()
        watcher.wait(10)
        watcher.stdout.close()


if __name__ == "__main__":
    _main(sys.argv[1], [int(word) for word in sys.argv[2:]])
