"""Mounts below the lab's own folders: found in the kernel's table, not remembered."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .command import LabError, run

_ROOMY = 6 << 30
"""Bytes of available memory from which on a host's files are kept in memory."""


def below(folder: Path) -> list[Path]:
    """Mount points at or below ``folder``, innermost first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # The kernel writes blanks and backslashes of a path as octal escapes.
        point = Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split(" ")[4]))
        if point == folder or folder in point.parents:
            found.append(point)
    return found[::-1]


def unmount_below(folder: Path) -> None:
    """Unmount everything at or below ``folder``."""
    for point in below(folder):
        try:
            run(["umount", point])
        except LabError:
            # Something still looks at it (a shell of the operator's): detach it, so that what
            # follows can delete the folder without reaching into the mount.
            run(["umount", "--lazy", point])


def remove_tree(folder: Path) -> None:
    """Delete ``folder`` with everything in it, after unmounting what is mounted there."""
    if not folder.exists():
        return
    unmount_below(folder)
    if below(folder):
        raise LabError(f"{folder}: still holds a mount, not deleting it")
    shutil.rmtree(folder)


def in_memory_if_roomy(folder: Path) -> None:
    """Mount a file system in memory on ``folder`` where the machine has plenty of memory.

    Hosts are made bare again and again; a disk file system pays for every such deletion when it
    next looks for a free inode (ext4 does not reuse one for seconds), and installing PostgreSQL
    takes twice as long.
    """
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, value, *_ = line.split()
        if name == "MemAvailable:" and int(value) * 1024 >= _ROOMY:
            options = f"mode=0755,size={_ROOMY // 2}"
            run(["mount", "-t", "tmpfs", "-o", options, "k3s-tui-lab", folder])


def overlay(lower: Path, upper: Path, work: Path, onto: Path) -> None:
    """Mount ``upper`` over ``lower``, which stays as it is, on ``onto``.

    The mount is volatile (no write waits for the disk): what is above never outlives the lab.
    """
    for folder in (upper, work, onto):
        folder.mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir={lower},upperdir={upper},workdir={work},volatile"
    run(["mount", "-t", "overlay", "overlay", "-o", layers, onto])
