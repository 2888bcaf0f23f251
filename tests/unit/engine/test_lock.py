from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from k3s_tui.core.contract import Host
from k3s_tui.core.errors import Locked
from k3s_tui.engine.lock import RunIdentity, lock_host, lock_profile
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
    with lock_profile(path), pytest.raises(Locked), lock_profile(path):
        pass
    with lock_profile(path):
        pass
