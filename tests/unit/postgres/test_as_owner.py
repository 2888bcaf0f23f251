"""Who writes into PostgreSQL's folders, and who reads what its user points at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from k3s_tui.resources.postgres.log import server_log_tail
from k3s_tui.resources.postgres.psql import AS_POSTGRES
from tests.unit.shells import SHELLS, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can write as somebody else")

NOBODY = 65534
FAKE = 'as_postgres() { case $1 in "[ "*) ;; *) echo "postgres $1" ;; esac; }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`a/b/c`, all of it root's alone."""
    path = tmp_path / "a" / "b" / "c"
    path.mkdir(parents=True)
    for each in (path, *path.parents[:2]):
        each.chmod(0o755)
    return path


def writes(shell: str, path: Path) -> str:
    return run(shell, f"{AS_POSTGRES}{FAKE}as_owner {path} 'echo root'").stdout.decode().split()[0]


@pytest.mark.parametrize("shell", SHELLS)
def test_root_writes_where_all_is_roots(shell: str, folder: Path) -> None:
    assert writes(shell, folder / "file") == "root"
    folder.parents[1].chmod(0o1777)  # as /tmp is
    assert writes(shell, folder / "file") == "root"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("how", ["owner", "mode", "link"])
def test_root_does_not_write_below_what_another_could_exchange(
    shell: str, level: int, how: str, folder: Path, tmp_path: Path
) -> None:
    file = folder / "file"
    loose = [folder, *folder.parents][level]
    if how == "mode":
        loose.chmod(0o775)
    else:
        os.chown(loose, NOBODY, NOBODY)
    if how == "link":
        file = tmp_path / "link"
        file.symlink_to(folder / "file")
    assert writes(shell, file) == "postgres"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_log_is_read_with_the_rights_of_whoever_named_it(shell: str, tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_text("ERROR: canary\n")
    secret.chmod(0o600)
    (tmp_path / "current_logfiles").write_text(f"stderr {secret}\n")
    tail = server_log_tail(str(tmp_path), "postgresql")
    assert "canary" not in run(shell, AS_POSTGRES + tail).stdout.decode()
    (tmp_path / "log").write_text("ERROR: ours\n")
    (tmp_path / "current_logfiles").write_text("stderr log\n")
    told = run(shell, f'{AS_POSTGRES}as_postgres() {{ eval "$1"; }}\n{tail}').stdout.decode()
    assert told == "ERROR: ours\n"
