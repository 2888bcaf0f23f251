"""What stays behind: no core file, no file for others, no value in a report, no leftovers."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from k3s_tui.core import scratch as scratches
from k3s_tui.core.scratch import scratch
from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.engine.jobs import start_or_attach
from k3s_tui.hosts.script import PLACE, PRELUDE, place
from k3s_tui.procedure import report
from k3s_tui.resources.block import Block
from k3s_tui.resources.file import File
from tests.faults.canaries import Canary, Nest, word
from tests.faults.tally import Tally
from tests.ssh.conftest import Connect
from tests.ssh.sshd import Sshd
from tests.tui.operator import how_to
from tests.tui.terminal import terminal
from tests.unit.hands import ME, LocalHands

REPOSITORY = Path(__file__).parents[2]
K3S_TUI = [sys.executable, "-m", "k3s_tui"]


@pytest.fixture
def nest() -> Nest:
    return Nest([Canary.of("canary", CANARY.encode())])


CANARY = word()


# -- the process of the tool ----------------------------------------------------------------------


LAX = ["/bin/sh", "-c", 'ulimit -c unlimited; umask 0; exec "$@"', "sh"]
"""As in a careless login: core files of any size, and files for everybody."""


def aborted(argv: list[str], folder: Path) -> tuple[bool, str]:
    """Whether a process that holds the canary leaves a core file; and its limits and umask."""
    folder.mkdir()
    process = subprocess.Popen(
        [*LAX, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdin is not None
    process.stdin.write(CANARY.encode())
    process.stdin.flush()
    proc = Path(f"/proc/{process.pid}")
    deadline = time.monotonic() + 30
    # It waits for the rest of its input: asleep in a read, everything before that is done.
    while "pipe_read" not in (proc / "wchan").read_text() and not _reads(proc):
        assert process.poll() is None and time.monotonic() < deadline, argv
        time.sleep(0.02)
    seen = (proc / "limits").read_text() + (proc / "status").read_text()
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.stdin.close()
    process.returncode = status
    return os.WCOREDUMP(status), seen


def _reads(proc: Path) -> bool:
    """Whether the process is in a read of its standard input."""
    words = (proc / "syscall").read_text().split()
    return words[:2] == ["0", "0x0"]


def test_a_crash_leaves_no_core_file(tmp_path: Path, nest: Nest, tally: Tally) -> None:
    row = tally("P8", "SIGABRT while a secret is in memory")
    profile = how_to(tmp_path)
    dumped, seen = aborted(
        [*K3S_TUI, "secret", "set", str(profile), "k3s.token"], tmp_path / "tool"
    )
    assert re.search(r"^Max core file size +0 +0 ", seen, re.MULTILINE), seen
    assert re.search(r"^Umask:\s+0077$", seen, re.MULTILINE), seen
    assert not dumped and not nest.below(tmp_path)
    row.injected += 1
    # The same signal to a program that keeps no such promise.
    cat, _ = aborted(["cat", "-", "/dev/null"], tmp_path / "other")
    row.survived += 1
    row.note = "the same signal leaves a core file of cat" if cat else "this machine dumps no core"


def test_what_the_tool_writes_is_for_its_user_alone(tmp_path: Path) -> None:
    """In a login whose umask is 000; what is made to be shared is 0644, and said so here."""
    (tmp_path / "operator").mkdir()
    profile = how_to(tmp_path / "operator")
    passphrase = tmp_path / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_text("a passphrase for this\n")
    state, temporary = tmp_path / "state", tmp_path / "tmp"
    temporary.mkdir()
    before = set(tmp_path.rglob("*"))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(state),
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(REPOSITORY),
        "K3S_TUI_PASSPHRASE_FILE": str(passphrase),
    }
    statuses = [
        subprocess.run(
            [*LAX, *K3S_TUI, *words],
            env=environment,
            check=False,
            capture_output=True,
            timeout=60,
        ).returncode
        for words in (
            ["secret", "init", str(profile)],
            ["apply", str(profile), "--yes"],  # there are no such hosts
        )
    ]
    assert statuses[0] == 0 and statuses[1] in (4, 5)
    made = set(tmp_path.rglob("*")) - before
    assert any(path.name == "events.jsonl" for path in made)
    wide = {str(path): oct(path.stat().st_mode) for path in made if path.stat().st_mode & 0o077}
    assert not wide


# -- crashes --------------------------------------------------------------------------------------

CRASHES = {
    "an action": "app.Wizard.action_save = crash",
    "a worker": """
async def work(self):
    crash(self)
app.Wizard.action_save = lambda self: self.run_worker(work(self)) and None
""",
    "a thread": """
app.Wizard.action_save = lambda self: self.run_worker(lambda: crash(self), thread=True) and None
""",
    "a timer": "app.Wizard.action_save = lambda self: self.set_timer(0.01, lambda: crash(self))",
}


@pytest.mark.parametrize("where", CRASHES)
def test_a_crash_of_the_wizard_shows_no_value(
    tmp_path: Path, nest: Nest, tally: Tally, where: str
) -> None:
    """Neither of a variable nor in the error's own words: on the screen, in the report, in core."""
    row = tally("P8", "a crash with a secret in a variable")
    row.injected += 1
    code = (
        "import sys\n"
        "from k3s_tui.tui import app\n"
        "def crash(self):\n"
        f"    secret = '{CANARY}'\n"
        "    raise RuntimeError(secret)\n"
        f"{CRASHES[where]}\n"
        "sys.argv = ['k3s-tui', 'how-to.toml']\n"
        "from k3s_tui.cli import main\n"
        "main()\n"
    )
    script = tmp_path / "crash.py"
    script.write_text(code)
    folder = tmp_path / "operator"
    folder.mkdir()
    how_to(folder)
    env = {"TMPDIR": str(folder), "PYTHONPATH": str(REPOSITORY), "XDG_STATE_HOME": str(folder)}
    with terminal([sys.executable, script], folder, env=env) as tty:
        tty.until("k3s-server-1")
        tty.press("C-s")
        assert tty.exit_status() == 70
        assert "this is a bug in k3s-tui (RuntimeError)" in tty.screen
        assert not nest.within(tty.screen)
    (written,) = folder.glob("k3s-tui-bug-*.txt")
    assert "crash" in written.read_text()
    assert not nest.below(folder)
    row.survived += 1


def test_the_report_of_a_bug_shows_no_value(tmp_path: Path, nest: Nest) -> None:
    """Also when nobody has told the secret to whoever masks: an error may quote anything."""
    events = tmp_path / "runs" / "one" / "events.jsonl"
    events.parent.mkdir(parents=True)
    events.touch()
    try:
        secret = CANARY
        try:
            int(secret)
        except ValueError as error:
            raise ExceptionGroup(secret, [KeyError(secret)]) from error
    except ExceptionGroup as bug:
        saved = report.save(events, how_to(tmp_path), Redactor(), bug=bug)
    assert not nest.in_archive(saved.read_bytes())
    assert not nest.below(tmp_path)


def test_nothing_prints_the_values_of_variables() -> None:
    """Libraries that would are not asked to, anywhere."""
    for path in (REPOSITORY / "k3s_tui").rglob("*.py"):
        text = path.read_text()
        for word_ in ("show_locals", "traceback.install", "format_exc", "print_exc", "cgitb"):
            assert word_ not in text, f"{path}: {word_}"


QUOTED: dict[str, Callable[[str], str]] = {
    "raw": lambda text: text,
    "by shlex": shlex.quote,
    "by hand": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "SQL": lambda text: "'" + text.replace("'", "''") + "'",
    "JSON": json.dumps,
    "YAML": lambda text: yaml.dump({"token": text}, width=1000),
    "URL": lambda text: f"postgres://k3s:{urllib.parse.quote(text, safe='')}@host/k3s",
    "path": urllib.parse.quote,
    "form": urllib.parse.quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "shifted": lambda text: base64.b64encode(b"x" + text.encode() + b"y").decode(),
    "shifted more": lambda text: base64.b64encode(b"xy" + text.encode() + b"y").decode(),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}


@pytest.mark.parametrize("how", QUOTED)
def test_what_a_host_says_of_a_secret_is_masked(nest: Nest, how: str) -> None:
    """On its way to events, screens and files; the search finds what was to be masked."""
    for value in (CANARY, f"p'q/%{CANARY} +\"x"):
        said = f"error near {QUOTED[how](value)} in line 1"
        assert nest.within(said)
        assert not nest.within(Redactor([Secret(value)])(said))


# -- on hosts -------------------------------------------------------------------------------------


async def test_every_remote_shell_keeps_to_itself(
    connect: Connect, sshd: Sshd, tmp_path: Path
) -> None:
    """Whatever the login's own umask is; a durable job, too."""
    web = await connect(sshd)
    job = start_or_attach("umask", "umask", PRELUDE, str(tmp_path / "jobs"))
    calls = {"a call": "umask", "with input": "cat; umask", "a job": job}
    for name, script in calls.items():
        stdin = b"x\n" if name == "with input" else b""
        done = await web.exec(f"umask 0 2>/dev/null; {PRELUDE}{script}", stdin=stdin)
        told = (done.out + done.err).decode().split()
        assert told[-1] == "0077", (name, done)
    plain = await web.exec("umask")
    assert plain.out == b"0077\n"


def test_temporary_files_lie_beside_their_targets() -> None:
    """There is one way to make one: in the folder of the file that it becomes, which is root's."""
    asked = {
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "k3s_tui").rglob("*.py")
        if re.search(r"\bmktemp\b", path.read_text())
    }
    assert asked == {"k3s_tui/hosts/script.py"}
    for path in (REPOSITORY / "k3s_tui").rglob("*.py"):
        assert not re.search(r">\s*/(var/)?tmp\b", path.read_text()), path


@pytest.mark.parametrize("shell", ["dash", "busybox"])
async def test_what_a_killed_script_left_goes_with_the_next(
    tmp_path: Path, nest: Nest, shell: str, tally: Tally
) -> None:
    """Killed between the temporary file and its rename; it may be a secret's."""
    row = tally("P8", "kill -9 of a script before its file has its name")
    row.injected += 1
    hands = LocalHands(shell, tmp_path / "tools")
    target = tmp_path / "etc" / "secrets.yaml"
    target.parent.mkdir()
    command = place(str(target), CANARY.encode(), mode="0600", owner=ME)
    # A sync that does not come back: where a kill takes the longest to be noticed.
    stuck = f"{PLACE}sync() {{ kill -9 $$; sleep 60; }}\n{command}"
    killed = subprocess.run(["/bin/sh", "-s"], input=stuck.encode(), check=False, timeout=50)
    assert killed.returncode == -signal.SIGKILL
    (left,) = target.parent.iterdir()
    assert left.name.startswith(".k3s-tui.") and nest.below(target.parent)
    assert left.stat().st_mode & 0o077 == 0

    other = File(str(target), "mended\n", mode="0600", owner=ME)
    (target.parent / ".k3s-tui.aaaaaa.orig").write_text(CANARY)
    theirs = target.parent / ".k3s-tui.mine"
    theirs.write_text("not ours\n")
    found = other.diff(other.probe().parse(await hands.sh(str(other.probe().ask))))
    await other.apply(hands, found)  # type: ignore[arg-type]
    assert {path.name for path in target.parent.iterdir()} == {target.name, theirs.name}

    (target.parent / ".k3s-tui.bbbbbb").write_text(CANARY)
    block = Block(str(target), "ours")
    seen = block.diff(block.probe().parse(await hands.sh(str(block.probe().ask))))
    await block.apply(hands, seen)  # type: ignore[arg-type]
    assert not nest.below(target.parent)
    row.survived += 1


# -- on the laptop --------------------------------------------------------------------------------

HOLDER = """
import sys, pathlib
from k3s_tui.core.scratch import scratch
with scratch() as folder:
    (folder / "key").write_text(sys.argv[1])
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_login_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nest: Nest, tally: Tally
) -> None:
    """Keys for libpq are files for a moment; of one process that lives, and one that was killed."""
    row = tally("P8", "kill -9 while a key is in a file for libpq")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, CANARY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
            text=True,
        )
        for _ in range(2)
    ]
    folders = []
    for holder in holders:
        assert holder.stdout is not None
        folders.append(Path(holder.stdout.readline().strip()))
    alive, killed = folders
    assert alive.stat().st_mode & 0o077 == 0
    holders[1].kill()
    holders[1].wait(10)
    row.injected += 1
    assert nest.below(killed)
    (tmp_path / f"{scratches.PREFIX}link").symlink_to(alive)
    with scratch() as mine:
        assert not killed.exists() and alive.exists() and mine.exists()
    assert not mine.exists() and nest.below(alive)
    holders[0].communicate("")
    assert not alive.exists()
    row.survived += 1


WRITER = """
import os, sys, pathlib
from k3s_tui.core import files
os.fsync = lambda descriptor: os.kill(os.getpid(), 9)
files.write_atomically(pathlib.Path(sys.argv[1]), sys.argv[2].encode())
"""


def test_what_a_killed_writer_left_goes_with_the_next_run(tmp_path: Path, nest: Nest) -> None:
    """Killed between the temporary file and its rename, for each of the profile's neighbours."""
    profile = how_to(tmp_path)
    names = [profile.name, "how-to.lock.toml", "how-to.secrets", "how-to.kubeconfig"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(REPOSITORY),
    }
    for name in names:
        path = tmp_path / name
        killed = subprocess.run(
            [sys.executable, "-c", WRITER, path, CANARY], env=environment, check=False, timeout=30
        )
        assert killed.returncode == -signal.SIGKILL
    left = [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
    assert len(left) == len(names) and len(nest.below(tmp_path)) == len(names)
    theirs = tmp_path / ".other.toml.abc.tmp"
    theirs.write_text("not ours")
    done = subprocess.run(
        [*K3S_TUI, "apply", str(profile), "--yes", "--json"],
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert json.loads(done.stdout.splitlines()[0])["type"] == "run-started", done
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == [theirs]
    assert not nest.below(tmp_path)
