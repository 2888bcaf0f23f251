"""P10: whatever a host says is harmless: to the terminal, to memory, and to what is believed."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w

from k3s_tui.core.errors import Exit, StepFailed
from k3s_tui.core.events import Event, Line
from k3s_tui.core.secret import Secret
from k3s_tui.engine.hands import StepHands
from k3s_tui.engine.jobs import start_or_attach
from k3s_tui.hosts.script import PRELUDE
from k3s_tui.profile.store import Store
from tests.faults import sealed
from tests.faults.hostile_sshd import ANSWERS, HOSTILE
from tests.faults.tally import FULL, Tally, amount
from tests.lab import paths
from tests.ssh.conftest import Connect
from tests.ssh.sshd import Sshd, keygen, public
from tests.unit.profile.documents import TEXT

PATIENCE = 60 if FULL else 4
"""Seconds that a host is given for its answer; in `make faults` the program's own, but for the
minutes that a step has."""

LINE = amount(48 << 20, 1 << 30)
"""Bytes of the endless line."""

MEMORY = 400 << 10
"""KiB: what a run takes at most, whatever hosts say.  An ordinary one takes some 90 MiB."""

PROGRAM = f"""
import atexit, re, sys
from pathlib import Path
from k3s_tui.core.contract import Step
from k3s_tui.hosts import ssh
from k3s_tui.procedure import targets
from k3s_tui.cli import main
ssh.SHELL_PATIENCE = targets._FACTS_SECONDS = {PATIENCE}
patient = Step.__init__
def hurried(step, *given, **named):
    patient(step, *given, **named)
    object.__setattr__(step, "within", min(step.within, {PATIENCE}))
Step.__init__ = hurried
sys.argv[0] = "k3s-tui"
@atexit.register
def tell_size():
    status = Path("/proc/self/status").read_text()
    Path("size").write_text(re.search(r"VmHWM:\\s*(\\d+)", status)[1])
main()
"""
"""Tells its greatest size itself: what wait4 gives counts the size of whoever started it, too."""
TOLD = (Exit.FAILED, Exit.CREDENTIALS, Exit.REFUSED)
BEHAVIOURS = ("out", "err", "line", "silence", "success")

pytestmark = pytest.mark.timeout(3600 if FULL else 400)


@dataclass(frozen=True)
class Said:
    """How the program ended, what its terminal or its pipe got, and its greatest size (KiB)."""

    status: int
    out: bytes
    size: int


class Laptop:
    """An operator's folder with a profile of five hosts that are none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "home").mkdir()
        keygen(folder / "host_key")
        identity = keygen(folder / "identity")
        (folder / "authorized").write_text(identity.with_suffix(".pub").read_text())
        (folder / "passphrase").touch(0o600)
        (folder / "passphrase").write_text("the passphrase\n")
        self.profile([1] * 5)
        done = self._start(["secret", "init", "x.toml"]).communicate(timeout=60)[0]
        assert (folder / "x.secrets").exists(), done
        # To open one as pyrage writes it takes half a GiB: here memory is to be measured.
        store = asyncio.run(Store.open(folder / "x.secrets", Secret("the passphrase")))
        content = tomli_w.dumps({key: store.get(key).reveal() for key in store})
        (folder / "x.secrets").write_bytes(sealed.seal(content.encode(), "the passphrase"))

    def profile(self, ports: Sequence[int]) -> None:
        text = TEXT.replace('identity = "agent"', 'identity = "identity"')
        text = text.replace('user = "sles"', 'user = "root"').replace('"sudo" ', '"root" ', 1)
        text = re.sub(r'(?m)^sudo-password = "prompt:".*\n', "", text)
        pins = "[host-keys]\n"
        hosts = tomllib.loads(TEXT)["hosts"]
        for number, (port, (name, host)) in enumerate(zip(ports, hosts.items(), strict=True), 1):
            address = f'"{host["address"]}"'
            text = text.replace(
                address, f'"127.0.0.{number}"\nport = {port}\nnode-ip = {address}', 1
            )
            pins += f'{name} = "{public(self.folder / "host_key")}"\n'
        (self.folder / "x.toml").write_text(text)
        (self.folder / "x.lock.toml").write_text(pins)

    @contextmanager
    def hosts(self, *moods: str) -> Iterator[None]:
        """Five servers, each in its mood."""
        (self.folder / "moods.json").write_text(json.dumps([moods, LINE]))
        (self.folder / "ports.json").unlink(missing_ok=True)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.hostile_sshd", str(self.folder)],
            cwd=paths.REPOSITORY,
            stdin=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 30
            while not (self.folder / "ports.json").exists():
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
            self.profile(json.loads((self.folder / "ports.json").read_text()))
            yield
        finally:
            server.kill()
            server.wait(10)

    def run(self, *words: str) -> Said:
        """Its standard output and standard error in one, through a pipe."""
        process = self._start(words)
        assert process.stdout is not None
        out = process.stdout.read()
        return self._ended(process, out)

    def on_terminal(self, *words: str, keys: Sequence[tuple[bytes, bytes]] = ()) -> Said:
        """All that a terminal of 80x24 gets; each key is pressed once the bytes before it came."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = self._start(words, theirs)
        os.close(theirs)
        out, waiting, seen = b"", list(keys), 0
        deadline = time.monotonic() + 150 + 3 * PATIENCE
        while time.monotonic() < deadline:
            ready, _, _ = select.select([ours], [], [], 0.2)
            try:
                if ready:
                    data = os.read(ours, 1 << 16)
                    if not data:
                        break
                    out += data
            except OSError:  # nobody is at the other end any more
                break
            while waiting and re.search(waiting[0][0], out[seen:]):
                seen = len(out)
                os.write(ours, waiting.pop(0)[1])
        os.close(ours)
        assert not waiting, (waiting, out[-3000:])
        return self._ended(process, out)

    def _start(self, words: Sequence[str], terminal: int | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            cwd=self.folder,
            env={
                "HOME": str(self.folder / "home"),
                "XDG_STATE_HOME": str(self.folder / "state"),
                "K3S_TUI_PASSPHRASE_FILE": str(self.folder / "passphrase"),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(paths.REPOSITORY),
                "TERM": "xterm-256color",
                "LANG": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT if terminal is None else terminal,
            start_new_session=True,
        )

    def _ended(self, process: subprocess.Popen[bytes], out: bytes) -> Said:
        return Said(process.wait(60), out, int((self.folder / "size").read_text()))


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path)


_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"  # two characters
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    r"|[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\xad]",
    re.DOTALL,
)


def controls(out: bytes | str) -> set[str]:
    """What of it is no text: lines and columns are all alike, and each colour is one of its own."""
    text = out if isinstance(out, str) else out.decode(errors="replace")
    return {
        found if re.fullmatch(r"\x1b\[[\d;:]*m", found) else re.sub(r"\d+(;\d+)*", "0", found)
        for found in _CONTROL.findall(text)
    }


def compared(hostile: Said, harmless: Said, *, blended: bool = False) -> None:
    """The same program, the same way; only what the hosts said was another.

    The wizard blends colours of its own, as many as its bars have lengths: of those new ones only
    what the hosts sent counts.
    """
    assert hostile.status == harmless.status
    new = controls(hostile.out) - controls(harmless.out)
    if blended:
        theirs = controls(" ".join(HOSTILE).encode())
        assert "\x1b[31m" in theirs
        new = {found for found in new if found in theirs or not found.endswith("m")}
    assert new == set()
    assert b"Traceback" not in hostile.out


def test_a_colour_of_theirs_is_none_of_ours() -> None:
    assert controls(b"\x1b[31mred") - controls(b"\x1b[1;32mgreen\x1b[0m") == {"\x1b[31m"}
    assert controls(b"\x1b[3;4H\x1b[2K") <= controls(b"\x1b[24;80H\x1b[1K")


STAGES = ("login noise", "facts words", "probes words")


@pytest.mark.parametrize("mood", STAGES)
def test_words_on_a_terminal(laptop: Laptop, tally: Tally, mood: str) -> None:
    row = tally("P10", "hostile words of every host, on the command's terminal")
    told = []
    for kind in ("harmless", ""):
        with laptop.hosts(*[f"{mood} {kind}"] * 5):
            told.append(laptop.on_terminal("plan", "x.toml", "--verbose"))
    row.injected += len(HOSTILE)
    harmless, hostile = told
    compared(hostile, harmless)
    assert hostile.status in TOLD
    if mood != "probes words":  # of what no probe understands, nothing is shown
        assert b"\\x1b]52;c;" in hostile.out
    row.survived += len(HOSTILE)


def test_words_in_json(laptop: Laptop, tally: Tally) -> None:
    row = tally("P10", "hostile words of every host, in JSON lines")
    with laptop.hosts("login noise", "facts words", "probes words", "facts words", "login noise"):
        said = laptop.run("plan", "x.toml", "--json")
    row.injected += len(HOSTILE)
    assert controls(said.out) == set()
    lines = [line for line in said.out.decode().splitlines() if line.startswith("{")]
    assert len(lines) > 5
    for line in lines:  # what a reader gets, escapes undone
        for value in json.loads(line).values():
            assert not isinstance(value, str) or controls(value.encode()) <= {"\n"}, line
    row.survived += len(HOSTILE)


def test_words_in_the_wizard(laptop: Laptop, tally: Tally) -> None:
    """All hosts probed; the same again with harmless words, for the controls of its own."""
    row = tally("P10", "hostile words of every host, in the wizard")
    told = []
    for kind in ("harmless", ""):
        with laptop.hosts(
            f"login noise {kind}", f"facts words {kind}", f"facts words {kind}",
            f"login noise {kind}", f"facts words {kind}",
        ):  # fmt: skip
            keys = [(b"Probe all", b"P"), (b"login of", b"\x11")]
            told.append(laptop.on_terminal("x.toml", keys=keys))
    harmless, hostile = told
    row.injected += len(HOSTILE)
    compared(hostile, harmless, blended=True)
    row.survived += len(HOSTILE)


@pytest.mark.parametrize("stage", ["login", "facts", "probes"])
def test_floods_and_silence(laptop: Laptop, tally: Tally, stage: str) -> None:
    """Each host in another way, all at once: each has its message, and memory its bound."""
    row = tally("P10", "endless output, an endless line, silence, success without a status")
    rounds: tuple[Sequence[str], ...] = (BEHAVIOURS,)
    if stage == "probes":  # success without a status ends the look at every host
        rounds = (("out", "err", "line", "silence", "silence"), ("success",) * 5)
    for behaviours in rounds:
        with laptop.hosts(*(f"{stage} {behaviour}" for behaviour in behaviours)):
            said = laptop.run("plan", "x.toml")
        row.injected += len(set(behaviours))
        text = said.out.decode()
        assert said.status in TOLD, text
        assert "Traceback" not in text
        if stage == "probes" and "silence" in behaviours:
            assert text.count(f"gave no answer within {PATIENCE} s") >= 2, text
        assert said.size < MEMORY, said.size
        greatest = max(said.size >> 10, int(row.note.split()[2]) if row.note else 0)
        row.note = f"at most {greatest} MiB"
        row.survived += len(set(behaviours))


@pytest.mark.parametrize("durable", [False, True], ids=["script", "durable job"])
async def test_a_step_that_says_too_much(
    connect: Connect, sshd: Sshd, tmp_path: Path, tally: Tally, durable: bool
) -> None:
    """What it said first is told, then that there is more; how it ended is known all the same."""
    row = tally("P10", "a step that says far more than anybody can read")
    row.injected += 1
    size = amount(24 << 20, 512 << 20)
    script = (
        f"head -c {size} /dev/zero | tr '\\0' x | fold -w 99 >&2; echo; echo over >&2; exit 7\n"
    )
    if durable:
        script = start_or_attach("install", script, PRELUDE, str(tmp_path / "jobs"))
    told: list[Event] = []
    hands = StepHands(await connect(sshd), "web-1/servers/k3s", told.append)
    with pytest.raises(StepFailed) as failed:
        await hands.sh(script)
    assert failed.value.status == 7 and failed.value.tail.endswith("over")
    texts = [event.text for event in told if isinstance(event, Line)]
    assert len(texts) == len(told)
    assert texts[0] == "x" * 99 and "neither shown nor recorded" in texts[-1]
    assert 4 << 20 <= sum(len(text) + 1 for text in texts) < (4 << 20) + 200
    row.survived += 1


@pytest.mark.parametrize("first", range(amount(1, 3)))
def test_answers_of_another_shape(laptop: Laptop, tally: Tally, first: int) -> None:
    """Well-formed, and never what was asked for: too deep, too much, of another type."""
    row = tally("P10", "well-formed answers that no probe expects")
    with laptop.hosts(*(f"probes answers{5 * first + number}" for number in range(5))):
        said = laptop.run("plan", "x.toml", "--verbose")
    row.injected += len(ANSWERS)
    text = said.out.decode()
    assert said.status in TOLD and "Traceback" not in text, text
    assert "not understood" in text
    assert said.size < MEMORY, said.size
    row.survived += len(ANSWERS)


def test_what_is_said_before_the_answer(laptop: Laptop, tally: Tally) -> None:
    row = tally("P10", "endless output before the first word of an answer")
    with laptop.hosts(*["login early"] * 5):
        said = laptop.run("plan", "x.toml")
    row.injected += 5
    assert said.status in TOLD and said.size < MEMORY, said
    row.survived += 5


def test_the_servers_could_be_hosts(laptop: Laptop) -> None:
    """Without a mood they are believed: else all of the above would prove nothing."""
    with laptop.hosts(*["never words"] * 5):
        said = laptop.run("plan", "x.toml")
    assert b"preflight" in said.out, said.out.decode()
    assert said.status == Exit.REFUSED
