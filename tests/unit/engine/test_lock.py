from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from k3s_tui.core.contract import Host
from k3s_tui.core.errors import Locked
from k3s_tui.engine.lock import RunIdentity, is_held, lock_host, lock_profile
from tests.unit.engine.rig import FolderTransport

MINE = RunIdentity("run-1", "me@here")
THEIRS = RunIdentity("run-2", "you@there")


async def test_a_host_is_held_by_one_run(tmp_path: Path) -> None:
    transport = FolderTransport(Host("a"), tmp_path, [])
    folder = str(tmp_path / "run")
    async with lock_host(transport, MINE, folder):
        with pytest.raises(Locked, match="run-1 by me@here") as caught:
            async with lock_host(transport, THEIRS, folder):
                pass
        assert caught.value.exit == 7
    async with lock_host(transport, THEIRS, folder):
        pass


async def test_our_own_ghost_gives_way(tmp_path: Path) -> None:
    """After a lost connection the host's sshd may hold the old channel open for minutes."""
    transport = FolderTransport(Host("a"), tmp_path, [])
    folder = str(tmp_path / "run")
    async with (
        asyncio.timeout(10),
        lock_host(transport, MINE, folder),
        lock_host(transport, MINE, folder),
    ):
        pass


@contextmanager
def unnamed(folder: Path) -> Iterator[int]:
    """A process that has the lock and has not said who it is: the file names a run that is over."""
    folder.mkdir()
    script = "exec 9>>lock; flock 9; echo locked; exec cat"
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", script], cwd=folder, stdin=pipe, stdout=pipe) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == b"locked\n"
        (folder / "holder").write_text(f"{gone()} run-0 by me@here since an hour\n")
        yield process.pid
        process.stdin.close()


def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


async def test_a_run_that_is_over_is_not_told_as_the_holder(tmp_path: Path) -> None:
    transport = FolderTransport(Host("a"), tmp_path, [])
    folder = tmp_path / "run"
    with unnamed(folder), pytest.raises(Locked, match="its name is not known yet"):
        async with lock_host(transport, MINE, str(folder)):
            pass


async def test_a_holder_that_has_just_begun_is_waited_for(tmp_path: Path) -> None:
    transport = FolderTransport(Host("a"), tmp_path, [])
    folder = tmp_path / "run"
    with unnamed(folder) as holder:
        # A pipe is opened for writing once somebody reads: what was there before is seen first.
        before = (folder / "holder").read_text()
        (folder / "holder").unlink()
        os.mkfifo(folder / "holder")

        def name_itself() -> None:
            with (folder / "holder").open("w") as pipe:
                (folder / "named").write_text(f"{holder} run-2 by you@there\n")
                (folder / "named").replace(folder / "holder")
                pipe.write(before)

        naming = threading.Thread(target=name_itself)
        naming.start()
        with pytest.raises(Locked, match="holds this host's lock: run-2 by you@there"):
            async with lock_host(transport, MINE, str(folder)):
                pass
        naming.join(10)


def test_the_run_of_a_profile_that_was_killed_is_not_told_as_the_holder(tmp_path: Path) -> None:
    path, holder = tmp_path / "state" / "lock", tmp_path / "state" / "lock.holder"
    with lock_profile(path, THEIRS):
        holder.write_text(f"{gone()} run-0 by me@here")
        with pytest.raises(Locked, match=r"on this machine$"), lock_profile(path, MINE):
            pass
    assert not holder.exists()


def test_a_profile_is_run_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "state" / "lock"
    with (
        lock_profile(path, THEIRS),
        pytest.raises(Locked, match="on this machine: run-2 by you@there"),
        lock_profile(path, MINE),
    ):
        pass
    with lock_profile(path):
        pass


def test_whether_a_run_is_under_way_is_seen_without_stopping_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "lock"
    assert not is_held(path)
    assert not path.exists()
    with lock_profile(path, THEIRS):
        assert is_held(path)
    assert not is_held(path)
    with lock_profile(path, MINE):
        pass


def test_a_run_says_since_when() -> None:
    run = RunIdentity("20261123T135316-7c10", "me@here")
    assert str(run) == "20261123T135316-7c10 by me@here since 2026-11-23 13:53:16 UTC"
    assert str(MINE) == "run-1 by me@here"
