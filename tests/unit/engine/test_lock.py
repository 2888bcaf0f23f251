from __future__ import annotations

import asyncio
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
