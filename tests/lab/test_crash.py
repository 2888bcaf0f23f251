"""``down`` leaves nothing behind, whenever ``up`` was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from . import cgroups, mounts, paths, processes
from .lab import Lab
from .topology import LAN


def _leftovers() -> list[str]:
    found = [f"mount {point}" for point in mounts.below(paths.STATE)]
    found += [f"namespace {path}" for path in Path("/run/netns").glob(f"{LAN}*")]
    found += [str(root / LAN) for root in cgroups.hierarchies() if (root / LAN).exists()]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        services = b"tests.lab.services" in words and words.endswith(f"\0{LAN}\0".encode())
        if str(paths.STATE).encode() in words or services:
            found.append(f"process {folder.name}: {words!r}")
    return found + [str(path) for path in (paths.STATE, Path("/etc/netns") / LAN) if path.exists()]


def test_down_after_a_crash_of_up(lab: Lab) -> None:
    try:
        # The last ones hit a lab that boots, or is up: a crash just before the last record.
        for seconds in (0.3, 0.6, 0.9, 1.3, 1.8, 2.6):
            lab.down()
            assert _leftovers() == []
            up = subprocess.Popen(
                [sys.executable, "-m", "tests.lab", "up"],
                cwd=paths.REPOSITORY,
                stdout=subprocess.DEVNULL,
            )
            time.sleep(seconds)
            up.kill()
            up.wait()
        lab.down()
        assert _leftovers() == []
        lab.down()
    finally:
        lab.up()


def test_up_mends_what_a_crash_left(lab: Lab) -> None:
    victim = lab.host("nginx").pid
    assert victim is not None
    started = processes.start_time(victim)
    assert started is not None and processes.kill(victim, started, signal.SIGKILL, 5)
    assert lab.host("nginx").pid is None
    processes.stop(paths.SERVICES_RECORD)
    assert not lab.is_up()
    assert lab.up()
    assert all(ssh for _, _, ssh in lab.status())


def test_a_reused_pid_is_not_hit(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    record = tmp_path / "record"
    started = processes.start_time(bystander.pid)
    assert started is not None
    record.write_text(f"{bystander.pid} {started - 1}\n")
    processes.stop(record)
    assert bystander.poll() is None and not record.exists()
    record.write_text(f"{bystander.pid} {started}\n")
    processes.stop(record)
    assert bystander.wait(5) == -15


@pytest.mark.parametrize("text", ["", "x", "1", "1 2 3"])
def test_a_broken_record_names_no_process(tmp_path: Path, text: str) -> None:
    record = tmp_path / "record"
    record.write_text(text)
    assert processes.recorded(record) is None
