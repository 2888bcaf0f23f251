"""Processes that outlive the command that starts them, recorded so that only they are ended.

A record is one line, ``PID START``: the kernel's start time tells the recorded process from
another one that was given the same number later.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .command import LabError

# The process writes its own record before it becomes the program: a crash of the starter between
# fork and record cannot leave a process that nobody knows.
_RECORD_THEN_EXEC = """
set -e
record=$1; shift
while [ "$1" != -- ]; do echo $$ > "$1"; shift; done
shift
echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" > "$record.new"
mv "$record.new" "$record"
exec "$@"
"""


def start_time(pid: int) -> int | None:
    """The process's start in clock ticks since boot; ``None`` when it is gone or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def recorded(record: Path) -> int | None:
    """Pid of the process in ``record``, or ``None`` when it does not run any more."""
    try:
        pid, started = (int(word) for word in record.read_text().split())
    except (OSError, ValueError):
        return None
    return pid if start_time(pid) == started else None


def spawn(
    record: Path,
    argv: Sequence[str | Path],
    *,
    log: Path,
    cgroup_files: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    """Start ``argv`` in a session of its own, after joining the given ``cgroup.procs`` files.

    Output goes to ``log``; returns the pid, which is in ``record`` by then.
    """
    record.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                *("/bin/sh", "-c", _RECORD_THEN_EXEC, "sh", str(record)),
                *(str(path) for path in cgroup_files),
                *("--", *(str(word) for word in argv)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=env,
            cwd=cwd,
        )
    deadline = time.monotonic() + 30
    while not record.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"{argv[0]} did not start; see {log}")
        time.sleep(0.01)
    return process.pid


def kill(pid: int, started: int, signum: int, within: float) -> bool:
    """Signal a process if it is still the one that started at ``started``, and wait for its end.

    Returns whether it is gone. A pidfd is taken first and the start time compared afterwards, so
    the signal cannot reach a process that took the number over in between.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if start_time(pid) != started:
            return True
        try:
            signal.pidfd_send_signal(descriptor, signum)
        except ProcessLookupError:
            return True
        return bool(select.select([descriptor], [], [], within)[0])
    finally:
        os.close(descriptor)


def stop(record: Path, *, signum: int = signal.SIGTERM, within: float = 5.0) -> None:
    """End the recorded process: ``signum`` first, SIGKILL when it takes too long."""
    pid = recorded(record)
    if pid is not None:
        started = start_time(pid)
        gone = started is None or kill(pid, started, signum, within)
        if not gone and started is not None and not kill(pid, started, signal.SIGKILL, 30.0):
            raise LabError(f"process {pid} ({record}) does not end")
    record.unlink(missing_ok=True)


def reap() -> None:
    """Collect children of this process that have ended, so that they are not seen as zombies."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
