"""The real script, under every shell, with commands that tell what this machine cannot vary."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from k3s_tui.hosts.facts import Facts, parse
from k3s_tui.hosts.facts_script import facts_script
from k3s_tui.hosts.listeners import Listener
from k3s_tui.hosts.script import PRELUDE, quote
from tests.unit.shells import SHELLS, run

LITTLE = 'case $1 in /proc/meminfo) echo "MemTotal: 498176 kB";; *) exec /bin/cat "$@";; esac'


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def shim(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def facts(shell: str, folder: Path | None = None, *, only: bool = False, **asked: object) -> Facts:
    """Run the script; `folder` is searched first, or alone."""
    path = (
        "" if folder is None else f"PATH={quote(str(folder))}" + ("" if only else ":$PATH") + "\n"
    )
    script = facts_script(**asked)  # type: ignore[arg-type]
    done = run(shell, f"{PRELUDE}{path}{{\n{script}\n}} </dev/null")
    assert (done.returncode, done.stderr) == (0, b"")
    return parse(done.stdout)


@pytest.mark.parametrize("shell", SHELLS)
def test_this_machine(shell: str, tmp_path: Path) -> None:
    before = time.time()
    found = facts(
        shell,
        peers=["127.0.0.1", "999.1.1.1", "x; echo k3s-unit k3s"],
        paths=[str(tmp_path / "it's" / "not there"), "/"],
    )
    assert found.arch == os.uname().machine
    assert found.now is not None and before - 1 <= found.now <= time.time()
    assert found.cpus == len(os.sched_getaffinity(0))
    assert found.memory_kib and found.memory_kib > 100_000
    assert ("lo", "127.0.0.1") in found.addresses
    assert found.route_sources == {
        "127.0.0.1": "127.0.0.1",
        "999.1.1.1": None,
        "x;": None,
    }
    assert found.k3s_role is None
    assert set(found.disk_free_kib) == {str(tmp_path / "it's" / "not there"), "/"}
    assert found.cgroup in ("v1", "v2", "hybrid")
    assert "memory" in found.cgroup_controllers
    assert {"setsid", "flock"} <= found.commands


@pytest.mark.parametrize("shell", SHELLS)
def test_all_shells_see_the_same(shell: str) -> None:
    def steady(found: Facts) -> tuple[object, ...]:
        return (found.os_name, found.init, found.commands, found.modules_missing, found.addresses)

    assert steady(facts(shell)) == steady(facts("dash"))


@pytest.mark.parametrize("shell", SHELLS)
def test_the_process_of_the_load_balancer(shell: str, tmp_path: Path) -> None:
    there, gone = tmp_path / "it's there.pid", tmp_path / "gone.pid"
    there.write_text("4711\n")
    assert facts(shell, balancer_pid_file=str(there)).balancer_pid == 4711
    assert facts(shell, balancer_pid_file=str(gone)).balancer_pid is None
    assert facts(shell).balancer_pid is None


@pytest.mark.parametrize("shell", SHELLS)
def test_marks_are_told_where_they_are(shell: str, tmp_path: Path) -> None:
    there, gone = str(tmp_path / "it's there"), str(tmp_path / "gone")
    Path(there).touch()
    assert facts(shell, marks=[there, gone]).marks == {there}
    assert facts(shell).marks == frozenset()


@pytest.mark.parametrize("shell", SHELLS)
def test_what_shimmed_commands_say(shell: str, bin_folder: Path) -> None:
    shim(bin_folder, "uname", 'case $1 in -m) echo s390x;; *) exec /bin/uname "$@";; esac')
    shim(bin_folder, "cat", LITTLE)
    shim(bin_folder, "date", "echo 1000000000")
    shim(
        bin_folder,
        "ss",
        # A last line without its end is a line.
        "printf %s 'LISTEN 0 128 0.0.0.0:6443 0.0.0.0:* users:((\"haproxy\",pid=77,fd=3))'",
    )
    shim(bin_folder, "getenforce", "echo Enforcing")
    shim(bin_folder, "systemctl", "echo active")
    shim(bin_folder, "nproc", "echo 64")
    shim(bin_folder, "psql", "echo 160004")
    shim(bin_folder, "id", "exit 0")
    shim(bin_folder, "runuser", 'shift 3; exec "$@"')
    found = facts(shell, bin_folder)
    assert (found.arch, found.memory_kib, found.cpus) == ("s390x", 498176, 64)
    assert found.now == 1_000_000_000
    assert found.listening == (Listener(6443, "0.0.0.0", "haproxy", (77,)),)
    assert found.selinux == "enforcing"
    assert found.firewalls[:1] == ("firewalld",)
    assert found.postgres_version == 160004


@pytest.mark.parametrize("shell", SHELLS)
def test_a_host_with_next_to_nothing(shell: str, bin_folder: Path) -> None:
    for name in ("sed", "grep", "cat"):
        (bin_folder / name).symlink_to("/bin/busybox")
    found = facts(shell, bin_folder, only=True, peers=["10.0.0.1"], paths=["/"])
    assert found.memory_kib
    if shell != "busybox":  # whose shell has these commands in itself
        assert (found.now, found.arch, found.addresses, found.disk_free_kib) == (None, "", (), {})
        assert found.commands <= {"nginx"}


@pytest.mark.parametrize("shell", SHELLS)
def test_listeners_without_ss(shell: str, bin_folder: Path) -> None:
    for name in ("sed", "grep", "cat"):
        (bin_folder / name).symlink_to("/bin/busybox")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert port in {one.port for one in facts(shell, bin_folder, only=True).listening}
        (bin_folder / "netstat").symlink_to("/bin/busybox")
        found = {one.port: one for one in facts(shell, bin_folder, only=True).listening}
        assert found[port].address == "127.0.0.1"
