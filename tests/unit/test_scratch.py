"""A folder for a moment, among other processes that sweep."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path
from typing import IO

import pytest

from k3s_tui.core import scratch


def test_another_process_sweeps_before_the_lock_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock = fcntl.flock

    def late(file: IO[bytes], how: int) -> None:
        if how == fcntl.LOCK_EX:
            scratch._sweep(tmp_path)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with scratch.scratch() as folder:
        (folder / "key").write_text("still here")
        scratch._sweep(tmp_path)
        assert (folder / "key").read_text() == "still here"
    assert not list(tmp_path.iterdir())
