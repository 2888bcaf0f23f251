from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from k3s_tui.core.files import write_atomically


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_atomically(tmp_path / "x", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "x").read_bytes() == b"content"
    assert mode(tmp_path / "x") == 0o600
    write_atomically(tmp_path / "x", b"more", 0o644)
    assert mode(tmp_path / "x") == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_symlink_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real/x")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "x").read_bytes() == b"new"


@pytest.mark.parametrize("call", ["fsync", "fchmod", "replace"])
def test_a_torn_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path if call == "replace" else os, call, fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_killed_at_any_moment_it_holds_the_old_or_the_new_content(tmp_path: Path) -> None:
    """A real process that dies by SIGKILL at each of its system calls on files in turn."""
    path = tmp_path / "x"
    for count in range(1, 8):
        path.write_bytes(b"old")
        child = os.fork()
        if child == 0:
            _die_at(count)
            write_atomically(path, b"new")
            os._exit(0)
        os.waitpid(child, 0)
        assert path.read_bytes() in (b"old", b"new")
    assert path.read_bytes() == b"new"


def _die_at(count: int) -> None:
    """Kill this process at its `count`th audited event on files."""
    import signal
    import sys

    left = count

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        if event in ("open", "os.rename", "os.chmod", "tempfile.mkstemp"):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
