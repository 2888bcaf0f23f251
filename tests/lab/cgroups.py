"""A control group per host, on every hierarchy that the machine has (version 1, 2 or both).

Without one, the hosts' init processes would all manage the same group, so that stopping a service
on one host could reach another. The group is also the safest record of what belongs to a host:
whatever is in it was started there.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from . import processes
from .command import LabError
from .topology import LAN


def hierarchies() -> list[Path]:
    """Mount points of the machine's cgroup hierarchies, each once."""
    found: dict[Path, None] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            found[Path(point)] = None
    return list(found)


def create(name: str) -> list[Path]:
    """Make the host's group everywhere; returns the ``cgroup.procs`` files to join it by."""
    files = []
    for root in hierarchies():
        group = root / LAN / name
        group.mkdir(parents=True, exist_ok=True)
        for level in (root, group.parent):
            _delegate(level)
        for level in (group.parent, group):
            # cpuset groups of version 1 start with no CPU and no memory and accept nobody.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                source = level.parent / setting
                if (root / "cgroup.controllers").exists() or not source.exists():
                    continue
                (level / setting).write_text(source.read_text())
        files.append(group / "cgroup.procs")
    return files


def _delegate(group: Path) -> None:
    """Let groups below a version 2 group use its controllers, as far as it has any."""
    try:
        controllers = (group / "cgroup.controllers").read_text().split()
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in controllers))
    except OSError:
        return  # version 1, or not ours to give: the hosts boot without, only K3s misses it


def members(name: str) -> set[int]:
    """Pids of every process in the host's group and the groups below it."""
    pids: set[int] = set()
    for root in hierarchies():
        for folder in _groups(root / LAN / name):
            try:
                pids.update(int(word) for word in (folder / "cgroup.procs").read_text().split())
            except OSError:
                continue
    return pids - {0}


def kill(name: str, within: float = 60.0) -> None:
    """Kill everything in the host's group, also what it forks meanwhile.

    Raises:
        LabError: something is still there after ``within`` seconds.
    """
    deadline = time.monotonic() + within
    while pids := {pid for pid in members(name) if processes.start_time(pid) is not None}:
        if time.monotonic() > deadline:
            raise LabError(f"{name}: processes {sorted(pids)} do not end")
        for pid in pids:
            started = processes.start_time(pid)
            if started is not None:
                processes.kill(pid, started, signal.SIGKILL, 0.0)
        processes.reap()
        time.sleep(0.02)


def remove(name: str, within: float = 30.0) -> None:
    """Remove the host's empty groups; with the last host's also the lab's."""
    deadline = time.monotonic() + within
    for root in hierarchies():
        group = root / LAN / name
        while group.exists():
            for folder in _groups(group):
                try:
                    folder.rmdir()
                except OSError:  # a process is still on its way out
                    break
            if time.monotonic() > deadline:
                raise LabError(f"{group}: not empty")
            if group.exists():
                time.sleep(0.02)
        try:
            group.parent.rmdir()
        except OSError:
            continue


def _groups(top: Path) -> list[Path]:
    """``top`` and the groups below it, innermost first. They come and go while one looks."""
    return [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]
