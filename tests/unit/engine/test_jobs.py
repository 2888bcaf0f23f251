"""Durable jobs: started once, watched by whoever comes, and never repeated for a lost watcher."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from k3s_tui.engine.jobs import job_name, start_or_attach
from k3s_tui.hosts.script import PRELUDE
from tests.unit.shells import SHELLS


def watch(shell: str, script: str, folder: Path) -> subprocess.Popen[bytes]:
    text = PRELUDE + start_or_attach("install pg", script, PRELUDE, str(folder))
    process = subprocess.Popen(
        [*SHELLS[shell], "-s"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(text.encode())
    process.stdin.close()
    process.stdin = None
    return process


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, err = process.communicate(timeout=20)
    return process.returncode, err.decode()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_job_ends_with_its_status_and_every_line(shell: str, tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done; exit 3"
    status, said = ended(watch(shell, script, tmp_path))
    assert status == 3
    assert said == "".join(f"line {i}\n" for i in range(200))


@pytest.mark.parametrize("shell", SHELLS)
def test_whoever_comes_second_attaches(shell: str, tmp_path: Path) -> None:
    script = (
        f"echo once >>{tmp_path}/count; echo begun;"
        f" until [ -e {tmp_path}/go ]; do sleep .05; done; echo end"
    )
    first = watch(shell, script, tmp_path)
    until((tmp_path / "count").exists)
    second = watch(shell, script, tmp_path)
    assert second.stderr and second.stderr.readline() == b"begun\n"  # it is attached
    os.killpg(first.pid, signal.SIGKILL)  # the first watcher's connection goes
    ended(first)
    (tmp_path / "go").touch()
    assert ended(second) == (0, "end\n")
    assert (tmp_path / "count").read_text() == "once\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_finished_job_starts_again_when_asked_again(shell: str, tmp_path: Path) -> None:
    script = f"echo once >>{tmp_path}/count; exit 1"
    assert ended(watch(shell, script, tmp_path))[0] == 1
    assert ended(watch(shell, script, tmp_path))[0] == 1
    assert (tmp_path / "count").read_text() == "once\nonce\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_killed_job_is_not_waited_for(shell: str, tmp_path: Path) -> None:
    # The job's shell is the parent of its script: kill that one, and nobody writes a status.
    script = f"echo $PPID >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 20"
    watcher = watch(shell, script, tmp_path)
    until((tmp_path / "pid").exists)
    parent = int((tmp_path / "pid").read_text())
    os.killpg(os.getpgid(parent), signal.SIGKILL)
    status, said = ended(watcher)
    assert status == 137
    assert said.endswith("the job was killed on the host\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_daemon_that_a_job_leaves_behind_holds_no_lock(shell: str, tmp_path: Path) -> None:
    script = f"setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 60' & echo started"
    assert ended(watch(shell, script, tmp_path)) == (0, "started\n")
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    try:
        assert ended(watch(shell, "echo other", tmp_path)) == (0, "other\n")
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_two_jobs_of_one_host_do_not_run_at_once(tmp_path: Path) -> None:
    script = "mkdir {0}/busy && sleep 0.3 && rmdir {0}/busy # {1}"
    watchers = [watch("dash", script.format(tmp_path, n), tmp_path) for n in range(3)]
    assert [ended(watcher)[0] for watcher in watchers] == [0, 0, 0]


def test_the_folder_is_for_root_alone(tmp_path: Path) -> None:
    ended(watch("dash", "echo secret-free", tmp_path / "jobs"))
    home = tmp_path / "jobs" / job_name("install pg", "echo secret-free")
    modes = {path.name: path.stat().st_mode & 0o777 for path in [home, *home.iterdir()]}
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes
