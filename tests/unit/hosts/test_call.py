from __future__ import annotations

import subprocess
import time

import pytest

from k3s_tui.hosts.call import END_GROUP, header, run
from tests.unit import shells
from tests.unit.shells import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_the_header_names_the_process_group(shell: str) -> None:
    process = subprocess.Popen(
        [*SHELLS[shell], "-s"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    out, err = process.communicate((header("nonce") + "echo out; echo ${pgid-none}").encode())
    assert out == f"\nnonce {process.pid}\nout\nnone\n".encode()
    assert err == b"\nnonce\n"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("stubborn", ["", "trap '' TERM;"])
def test_a_process_group_is_ended(shell: str, stubborn: str) -> None:
    argv = ["sh", "-c", f"{stubborn} echo up; sleep 60 & sleep 60"]
    group = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE)
    assert group.stdout and group.stdout.readline() == b"up\n"
    killer = subprocess.Popen([*SHELLS[shell], "-s"], stdin=subprocess.PIPE)
    assert killer.stdin
    killer.stdin.write(END_GROUP.format(pgid=group.pid).encode())
    killer.stdin.close()
    # Reaped at once, as sshd does; a zombie would count as alive.
    assert group.wait(10) < 0
    assert killer.wait(10) == 0
    deadline = time.monotonic() + 5
    while group.stdout.read(1):
        assert time.monotonic() < deadline


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("script", "stdin", "status", "out"),
    [
        ("echo a; exit 4", b"", 4, b"a\n"),
        ("cat; exit 4", b"x\0y\n", 4, b"x\0y\n"),
        ("cat; echo after", b"", 0, b"after\n"),
        ("", b"", 0, b""),
        ("", b"unread", 0, b""),
        ("false", b"", 1, b""),
        ("cat <<E\nheredoc\nE", b"", 0, b"heredoc\n"),
        ("echo end # comment", b"", 0, b"end\n"),
        ("f() { return 9; }\nf", b"", 9, b""),
    ],
)
def test_scripts_keep_their_status(
    shell: str, script: str, stdin: bytes, status: int, out: bytes
) -> None:
    done = shells.run(shell, run(script, stdin))
    assert (done.returncode, done.stdout, done.stderr) == (status, out, b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_that_arrived_in_part_does_nothing(shell: str) -> None:
    whole = run("echo begun\necho done")
    done = shells.run(shell, whole[: whole.index("echo done")])
    assert done.stdout == b""
    assert done.returncode != 0
