"""The command line as a process: exit codes, and what an operator reads where."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from k3s_tui.core.events import AnyEvent, RunDone
from tests.unit.headless.operator import (
    CLI,
    HOW_TO,
    PATIENCE,
    REPOSITORY,
    environment,
    on_terminal,
    python,
    run,
)

HEAVY = ("textual", "asyncssh", "cryptography", "psycopg", "rich", "yaml", "tomlkit", "pyrage")
PASSPHRASE = "some words that nobody guesses"
CANARY = "canary-that-must-not-sing"


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "how-to.toml"
    path.write_text(HOW_TO.read_text().replace("sudo-password", "# sudo-password"))
    return path


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A store and its passphrase, made once: deriving a key takes a second."""
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "how-to.toml").write_bytes(HOW_TO.read_bytes())
    (folder / "passphrase").write_text(PASSPHRASE)
    (folder / "passphrase").chmod(0o600)
    made = run("secret", "init", "how-to.toml", "--passphrase-file=passphrase", state=folder)
    assert made.status == 0, made
    assert "Back up how-to.secrets and remember its passphrase" in made.err
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")]
    subprocess.run(words, check=True)
    return {name: (folder / name).read_bytes() for name in ("how-to.secrets", "passphrase", "key")}


@pytest.fixture
def store(profile: Path, sealed: dict[str, bytes]) -> Path:
    """The passphrase's file; beside it the profile has its store."""
    for name, content in sealed.items():
        (profile.parent / name).write_bytes(content)
        (profile.parent / name).chmod(0o600)
    return profile.parent / "passphrase"


# -- what it loads --------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["apply", "--help"], []])
def test_what_needs_nothing_loads_nothing(tmp_path: Path, words: list[str]) -> None:
    script = (
        "import sys\nfrom k3s_tui import cli\n"
        f"sys.argv[1:] = {words!r}\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert "LOADED []\n" in python("-c", script, state=tmp_path).out


def test_check_talks_to_nobody_and_loads_nothing_that_does(tmp_path: Path, profile: Path) -> None:
    script = (
        "import sys\nfrom k3s_tui import cli\n"
        f"sys.argv[1:] = ['check', {str(profile)!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert "LOADED []\n" in python("-c", script, state=tmp_path).out


def test_version(tmp_path: Path) -> None:
    assert run("--version", state=tmp_path).out == "k3s-tui, version 0.1.0\n"


# -- profiles -------------------------------------------------------------------------------------


def test_check_of_a_good_profile(tmp_path: Path, profile: Path) -> None:
    done = run("check", "how-to.toml", state=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert done.out == "how-to.toml is a valid profile of 5 hosts\n"


def test_check_of_a_bad_profile(tmp_path: Path, profile: Path) -> None:
    profile.write_text(profile.read_text().replace("[hosts.nginx]", "[hosts.Nginx]"))
    done = run("check", "how-to.toml", state=tmp_path)
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("error[bad-host-name]: ")
    assert "--> how-to.toml:" in done.err and "^^^^^" in done.err


@pytest.mark.parametrize("verb", ["plan", "apply", "verify"])
def test_a_bad_profile_is_refused_by_all(tmp_path: Path, profile: Path, verb: str) -> None:
    profile.write_text("schema = ")
    done = run(verb, "how-to.toml", state=tmp_path)
    assert done.status == 3 and done.err.startswith("error[syntax]: ")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("verb", ["check", "plan"])
def test_warnings_are_told_wherever_the_profile_is_used(
    tmp_path: Path, profile: Path, verb: str
) -> None:
    text = profile.read_text()
    profile.write_text(
        text.replace('address = "10.161.129.118"\nport', 'address = "10.9.9.9"\nport')
    )
    assert "warning[foreign-registration-address]" in run(verb, "how-to.toml", state=tmp_path).err


def test_no_such_profile(tmp_path: Path) -> None:
    done = run("check", "nope.toml", state=tmp_path)
    assert done.status == 3
    assert "nope.toml" in done.err and "No such file or directory" in done.err


# -- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["check"],
        ["check", "a.toml", "b.toml"],
        ["apply", "--now", "a.toml"],
        ["secret"],
    ],
)
def test_usage_errors(tmp_path: Path, words: list[str]) -> None:
    done = run(*words, state=tmp_path)
    assert (done.status, done.out) == (2, "")
    assert "Usage: k3s-tui" in done.err


@pytest.mark.parametrize("words", [[], ["my profile.toml"]])
def test_without_a_terminal_there_is_no_wizard(tmp_path: Path, words: list[str]) -> None:
    done = run(*words, state=tmp_path)
    name = "'my profile.toml'" if words else "PROFILE"
    assert (done.status, done.out) == (2, "")
    for verb in ("check", "plan", "apply"):
        assert f"k3s-tui {verb} {name}" in done.err


@pytest.mark.parametrize(
    ("flags", "file"), [([], "profile.schema.json"), (["--events"], "events.schema.json")]
)
def test_schemas_are_those_that_are_committed(tmp_path: Path, flags: list[str], file: str) -> None:
    committed = (REPOSITORY / "docs" / "reference" / file).read_text()
    assert run("schema", *flags, state=tmp_path).out == committed


# -- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["plan", "apply", "verify"])
def test_a_missing_store_has_two_ways_out(tmp_path: Path, profile: Path, verb: str) -> None:
    """A new cluster, or the loss of an old one's store: only the operator knows which."""
    done = run(verb, "how-to.toml", state=tmp_path)
    assert (done.status, done.out) == (4, "")
    assert "error: the secret store how-to.secrets does not exist" in done.err
    assert "for a new cluster: k3s-tui secret init how-to.toml" in done.err
    assert "for an existing cluster restore your backup of how-to.secrets" in done.err


def test_no_passphrase_and_nobody_to_ask(tmp_path: Path, store: Path) -> None:
    done = run("plan", "how-to.toml", state=tmp_path)
    assert done.status == 4
    assert "there is no terminal to ask on: Passphrase of how-to.secrets" in done.err
    assert "try: use --passphrase-file" in done.err


def test_a_passphrase_is_asked_on_the_terminal_and_not_shown(tmp_path: Path, store: Path) -> None:
    with on_terminal(*CLI, "secret", "list", "how-to.toml", state=tmp_path) as terminal:
        terminal.until("Passphrase of how-to.secrets: ")
        assert not terminal.echoes
        terminal.type(f"{PASSPHRASE}\n")
        assert terminal.end() == 0
        assert PASSPHRASE not in terminal.seen
        assert "k3s.agent-token\n" in terminal.seen


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_ctrl_c_at_the_passphrase(tmp_path: Path, store: Path, verb: str) -> None:
    with on_terminal(*CLI, verb, "how-to.toml", state=tmp_path) as terminal:
        terminal.until("Passphrase of how-to.secrets: ")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "interrupted: interrupted before anything was changed\n" in terminal.seen
        assert ("k3s-tui apply how-to.toml" in terminal.seen) == (verb == "apply")


def test_ctrl_c_where_a_secret_is_entered(tmp_path: Path, store: Path) -> None:
    words = ("secret", "set", "how-to.toml", "k3s.token")
    with on_terminal(*CLI, *words, state=tmp_path) as terminal:
        terminal.until("Value of k3s.token: ")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "Traceback" not in terminal.seen


def secret(tmp_path: Path, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = run("secret", *words, "--passphrase-file=passphrase", state=tmp_path, stdin=stdin)
    return done.status, done.out, done.err


def test_a_pem_goes_through_a_pipe_unharmed(tmp_path: Path, store: Path) -> None:
    """`get` into `set` is how a CA is brought back from a backup."""
    _, key, _ = secret(tmp_path, "get", "how-to.toml", "pki.ca-key")
    assert key.startswith("-----BEGIN PRIVATE KEY-----\n") and key.endswith("-----\n")
    done = secret(tmp_path, "set", "how-to.toml", "pki.ca-key", stdin=key.encode())
    assert done == (0, "set pki.ca-key\n", "")
    assert secret(tmp_path, "get", "how-to.toml", "pki.ca-key")[1] == key


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (b"one\ntwo\n", "the value of datastore.password has more than one line"),
        (b"\xff\xfe", "the value of datastore.password is not UTF-8 text"),
        (b"\n", "the value of datastore.password is empty"),
        (b"", "the value of datastore.password is empty"),
    ],
)
def test_what_cannot_be_a_value(tmp_path: Path, store: Path, given: bytes, text: str) -> None:
    before = (tmp_path / "how-to.secrets").read_bytes()
    status, _, err = secret(tmp_path, "set", "how-to.toml", "datastore.password", stdin=given)
    assert status == 4 and f"error: {text}" in err
    assert (tmp_path / "how-to.secrets").read_bytes() == before


# -- hosts that do not answer ---------------------------------------------------------------------


def at(profile: Path, port: int) -> None:
    """All hosts are ports of this machine."""
    key = profile.parent / "key"
    text = profile.read_text().replace('identity = "agent"', f'identity = "{key}"')
    for number, address in enumerate(("54", "154", "196", "212", "118"), start=1):
        text = text.replace(f'"10.161.129.{address}"', f'"127.0.0.{number}"')
    # Longer than any test: what ends a connection is the test, never the clock.
    ssh = f'user = "sles"\nport = {port}\nconnect-timeout = 600'
    profile.write_text(text.replace('user = "sles"', ssh))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Nobody listens there, and nobody else will."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Takes connections on every loopback address, and says nothing."""
    with closing(socket.create_server(("0.0.0.0", 0), backlog=64)) as server:
        yield server.getsockname()[1]


def test_all_unreachable_hosts_are_told_at_once(
    tmp_path: Path, profile: Path, store: Path, closed_port: int
) -> None:
    at(profile, closed_port)
    done = run("plan", "how-to.toml", f"--passphrase-file={store}", state=tmp_path)
    assert done.status == 5, done
    lines = done.err.splitlines()
    assert lines[0].startswith("error: k3s-server-1: ")
    for line, name in zip(
        lines[1:5], ("k3s-server-2", "k3s-agent", "postgres", "nginx"), strict=True
    ):
        assert line.startswith(f"       {name}: ")
    assert done.out == ""


def test_with_json_the_reason_is_there_for_the_operator_too(
    tmp_path: Path, profile: Path, store: Path, closed_port: int
) -> None:
    at(profile, closed_port)
    words = ("apply", "how-to.toml", "--json", f"--passphrase-file={store}")
    done = run(*words, state=tmp_path)
    events = [msgspec.json.decode(line, type=AnyEvent) for line in done.out.splitlines()]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    last = events[-1]
    assert isinstance(last, RunDone) and last.exit == done.status == 5
    assert done.err.startswith("error: k3s-server-1: ")
    recorded = next((tmp_path / "state").rglob("events.jsonl"))
    assert f"the log of this run: {recorded}\n" in done.err
    assert recorded.read_text() == done.out
    assert recorded.stat().st_mode & 0o777 == 0o600


def test_ctrl_c_while_hosts_do_not_answer(
    tmp_path: Path, profile: Path, store: Path, silent_port: int
) -> None:
    at(profile, silent_port)
    words = ("apply", "how-to.toml", "--yes", "--only=nginx", f"--passphrase-file={store}")
    with on_terminal(*CLI, *words, "--json", state=tmp_path) as terminal:
        terminal.until('"state":"connecting"')
        terminal.interrupt()
        assert terminal.end() == 130
    again = f"k3s-tui apply how-to.toml --yes --only=nginx --passphrase-file={store}"
    assert "interrupted: interrupted before anything was changed\n" in terminal.seen
    assert f"try: run again to resume: {again}\n" in terminal.seen


def test_a_second_run_of_the_same_profile(
    tmp_path: Path, profile: Path, store: Path, silent_port: int
) -> None:
    at(profile, silent_port)
    words = ("apply", "how-to.toml", f"--passphrase-file={store}")
    with on_terminal(*CLI, *words, "--json", state=tmp_path) as first:
        first.until('"state":"connecting"')
        second = run(*words, state=tmp_path)
        assert (second.status, second.out) == (7, "")
        assert "another run of this profile is under way" in second.err
        first.interrupt()
        first.end()


# -- where its words go ---------------------------------------------------------------------------


def piped(tmp_path: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A pipeline; `$K3S_TUI` is the command, and the status is its own."""
    return subprocess.run(
        ["bash", "-c", f"K3S_TUI='{' '.join(CLI)}'; {command}; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_nobody_reads_the_verdict(tmp_path: Path, profile: Path) -> None:
    done = piped(tmp_path, "$K3S_TUI check how-to.toml | sleep 0")
    assert (done.returncode, done.stderr) == (0, "")


def test_half_of_a_schema_is_read(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom k3s_tui import cli\n"
        "reader, writer = os.pipe()\nos.close(reader)\nos.dup2(writer, 1)\n"
        "sys.argv[1:] = ['schema']\ncli.main()"
    )
    done = python("-u", "-c", script, state=tmp_path)
    assert (done.status, done.err) == (1, "")


def test_a_plan_into_head(tmp_path: Path, profile: Path, store: Path, closed_port: int) -> None:
    at(profile, closed_port)
    done = piped(tmp_path, f"$K3S_TUI plan how-to.toml --passphrase-file={store} | sleep 0")
    assert done.returncode == 5
    assert done.stderr.startswith("error: k3s-server-1: ")
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_an_apply_that_nobody_reads_goes_on(
    tmp_path: Path, profile: Path, store: Path, closed_port: int
) -> None:
    at(profile, closed_port)
    done = piped(tmp_path, f"$K3S_TUI apply how-to.toml --json --passphrase-file={store} | sleep 0")
    assert done.returncode == 5
    assert "standard output cannot be written (nobody reads it); the run goes on" in done.stderr
    recorded = next((tmp_path / "state").rglob("events.jsonl")).read_text().splitlines()
    assert json.loads(recorded[-1])["type"] == "run-done"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_no_bug(tmp_path: Path, unbuffered: str) -> None:
    done = piped(tmp_path, f"PYTHONUNBUFFERED={unbuffered} $K3S_TUI schema >/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "No space left on device" in done.stderr
    assert "bug" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_state_folder_that_cannot_be_made(tmp_path: Path, profile: Path) -> None:
    (tmp_path / "state").write_text("a file")
    done = run("apply", "how-to.toml", state=tmp_path)
    assert done.status == 1
    assert f"error: {tmp_path}/state/k3s-tui/" in done.err and "Not a directory" in done.err
    assert "bug" not in done.err


def test_a_terminal_without_unicode(tmp_path: Path, profile: Path) -> None:
    named = tmp_path / "größe.toml"
    profile.rename(named)
    done = run("check", named.name, state=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert (done.status, done.out) == (0, "gr\\xf6\\xdfe.toml is a valid profile of 5 hosts\n")


def test_a_path_that_no_event_can_hold(tmp_path: Path, profile: Path) -> None:
    named = profile.rename(tmp_path / "\udcff.toml")
    done = run("apply", named, state=tmp_path)
    assert done.status == 2 and "rename it" in done.err


# -- bugs -----------------------------------------------------------------------------------------

BUG = f"""
import sys
from k3s_tui import cli
import k3s_tui.headless.check

def bad(profile):
    password = "{CANARY}"
    try:
        int(password)
    except ValueError as error:
        raise ExceptionGroup(password, [KeyError(password)]) from error

k3s_tui.headless.check.check = bad
sys.argv[1:] = ["check", "a.toml"]
cli.main()
"""


def test_a_bug_is_a_report_without_values(tmp_path: Path) -> None:
    done = python("-c", BUG, state=tmp_path)
    assert (done.status, done.out) == (70, "")
    assert done.err.startswith("error: this is a bug in k3s-tui (ExceptionGroup); the report ")
    assert "Traceback" not in done.err and len(done.err.splitlines()) == 1
    (report,) = tmp_path.glob("k3s-tui-bug-*.txt")
    assert str(report) in done.err
    assert report.stat().st_mode & 0o777 == 0o600
    text = report.read_text()
    assert text.startswith("k3s-tui 0.1.0\n")
    for expected in ("in bad\n", "builtins.ValueError\n", "builtins.KeyError\n", "cli.py"):
        assert expected in text
    assert CANARY not in text + done.err


BUG_IN_A_RUN = f"""
import sys
from k3s_tui import cli
from k3s_tui.procedure.deployment import Deployment

async def bad(self):
    raise RuntimeError("{CANARY}")

Deployment.__aenter__ = bad
sys.argv[1:] = ["apply", "how-to.toml", "--json"]
cli.main()
"""


def test_a_bug_in_a_run_is_the_last_event(tmp_path: Path, profile: Path) -> None:
    done = python("-c", BUG_IN_A_RUN, state=tmp_path)
    assert done.status == 70
    last = json.loads(done.out.splitlines()[-1])
    assert (last["type"], last["exit"]) == ("run-done", 70)
    assert CANARY not in done.out + done.err
    assert not any(CANARY in path.read_text() for path in tmp_path.rglob("*.txt"))
