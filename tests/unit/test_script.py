from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from k3s_tui.hosts import script
from tests.unit.shells import SHELLS, run

HOSTILE = ["a b", "it's", '"$(id)"', "`id`", "\\n", "new\nline", "*", "", "-n", "~", "é", "!x"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("word", HOSTILE)
def test_a_word_arrives_as_it_was_meant(shell: str, word: str) -> None:
    done = run(shell, f"printf %s {script.quote(word)}")
    assert done.stdout.decode() == word


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        script.quote("a\0b")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_is_placed_with_its_mode(shell: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    target = tmp_path / "it's here"
    owner = f"{os.getuid()}:{os.getgid()}"
    done = run(shell, script.PLACE + script.place(str(target), content, mode="0640", owner=owner))
    assert (done.returncode, done.stderr) == (0, b"")
    assert target.read_bytes() == content
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["it's here"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_damaged_transfer_leaves_the_old_file(shell: str, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    damaged = script.place(str(target), b"new").replace(script.literal(b"new"), "printf ne")
    done = run(shell, script.PLACE + damaged)
    assert done.returncode != 0
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("shell", SHELLS)
def test_one_probe_cannot_spoil_the_others(shell: str) -> None:
    asks = ["echo one", "if then (", "cat", "exit 3", "echo noise >&2; printf last", "echo six\n"]
    done = run(shell, script.batch(asks, "f00d"))
    assert script.unbatch(done.stdout, "f00d") == [b"one\n", b"", b"", b"", b"last", b"six\n"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("fault", ["kill -9 $$", "return 1"])
def test_a_copy_is_whole_or_not_there(shell: str, fault: str, tmp_path: Path) -> None:
    """What is kept of a file is what a later run would put back."""
    (tmp_path / "file").write_text("rules\n" * 1000)
    torn = f'cp() {{ head -c 100 "$2" >"$3"; {fault}; }}\n'
    copies = f"copy {tmp_path}/file {tmp_path}/file.before"
    done = run(shell, script.SPARE + script.COPY + torn + copies)
    assert done.returncode != 0
    assert not (tmp_path / "file.before").exists()
    (tmp_path / "file").chmod(0o640)
    assert run(shell, script.SPARE + script.COPY + copies).returncode == 0
    assert (tmp_path / "file.before").read_text() == "rules\n" * 1000
    assert stat.S_IMODE((tmp_path / "file.before").stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "file.before"]
