"""P7: bad input of any kind is answered in words and with a documented exit code."""

from __future__ import annotations

import base64
import fnmatch
import re
import shutil
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k3s_tui.core.errors import Exit, OperatorError
from k3s_tui.engine.record import EVENTS
from k3s_tui.hosts.known_hosts import KnownHosts
from k3s_tui.procedure.recording import runs_folder
from k3s_tui.profile import sshconfig
from k3s_tui.profile.load import parse
from tests.faults import sealed
from tests.faults.fuzzing import Target, attempt, mutated
from tests.faults.readers import LOCK, READERS, STORE, authority, pems, readers
from tests.faults.ssh_files import CONFIG, KEY, keys
from tests.faults.tally import FULL, Tally, amount
from tests.lab import paths, releases
from tests.lab.lab import Lab
from tests.lab.operators import edit
from tests.lab.product import Product
from tests.lab.test_air_gap import BINARY, write_sums
from tests.tui.terminal import terminal
from tests.unit.profile.documents import TEXT

DOCUMENT = tomllib.loads(TEXT)
SECRETS = {
    **tomllib.loads(STORE.decode()),
    "k3s.agent-token": "fedcba9876543210",
    "pki.ca-key": authority().key.reveal(),
    "pki.ca-certificate": authority().certificate_pem,
}


def pem_of(pem: str, part: bytes, other: bytes) -> bytes:
    """With a part of what is in the armor replaced by another."""
    der = ssl.PEM_cert_to_DER_cert(pem)
    assert part in der
    return ssl.DER_cert_to_PEM_cert(der.replace(part, other)).encode()


SECONDS = 2.0
"""For each reader of the slice; `make faults` and `make fuzz` give each a number of inputs."""


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    found = {target.name: target for target in readers(tmp_path_factory.mktemp("readers"))}
    assert list(found) == READERS
    return found


@pytest.mark.parametrize("name", READERS)
@pytest.mark.timeout(7200 if FULL else 300)
def test_spoiled_samples(targets: dict[str, Target], name: str, tally: Tally) -> None:
    row = tally("P7", "mutated bytes, in process")
    until = time.monotonic() + (SECONDS if not FULL else 3000)
    for number in range(amount(2_000, 10_000)):
        found = attempt(targets[name], number)
        row.injected += 1
        assert found is None, found
        row.survived += 1
        if time.monotonic() > until:
            break


def test_a_fault_would_be_found() -> None:
    def reads(data: bytes) -> None:
        if b"\x00" in data:
            raise IndexError

    fragile = Target("fragile", [b"one two three"], reads)
    found = next(filter(None, (attempt(fragile, number) for number in range(2000))))
    assert isinstance(found.error, IndexError) and b"\x00" in found.data
    assert found.data == mutated(found.number, fragile)


@pytest.mark.parametrize("stars", ["*" * 40, "*a" * 30, "a*" * 30 + "b", "?*" * 30 + "!"])
def test_patterns_of_many_stars_come_to_an_end(stars: str, tmp_path: Path, tally: Tally) -> None:
    """A search that tried every way would still be at it when the sun is gone."""
    name = "a" * 63
    assert KnownHosts.parse(f"{stars} {KEY}").find(name) is not None
    (tmp_path / "config").write_text(f"Host {name}\nHost {stars}\n  Port 23\n")
    (host,) = sshconfig.read_hosts(tmp_path / "config", tmp_path).hosts
    row = tally("P7", "patterns of many stars")
    row.injected += 1
    matches = fnmatch.fnmatchcase(name, stars)
    assert (host.port == 23) == matches
    row.survived += 1


# -- by structure: a document that TOML allows, with anything at any place -------------------------


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [at, *(place for key, item in items for place in places(item, (*at, key)))]


scalars = (
    st.text(max_size=20)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.dates()
    | st.datetimes()
    | st.times()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)


def put(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    first, *rest = place
    if isinstance(document, dict) and isinstance(first, str):
        return {**document, first: put(document.get(first, {}), tuple(rest), value)}
    if isinstance(document, list) and isinstance(first, int) and first < len(document):
        return [*document[:first], put(document[first], tuple(rest), value), *document[first + 1 :]]
    return value


@settings(
    max_examples=amount(150, 5_000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.sampled_from(places(DOCUMENT)[1:]), values), min_size=1, max_size=3))
def test_any_document(tally: Tally, changes: Sequence[tuple[tuple[Any, ...], Any]]) -> None:
    document: Any = DOCUMENT
    for place, value in changes:
        document = put(document, place, value)
    row = tally("P7", "any value at any place of a profile (hypothesis)")
    row.injected += 1
    try:
        parse(tomli_w.dumps(document).encode(errors="replace").decode(), "x.toml")
    except OperatorError as error:
        assert error.exit is Exit.PROFILE and str(error)
    row.survived += 1


# -- the command itself ---------------------------------------------------------------------------


class Cli:
    """`k3s-tui` in a folder and a home of its own, without a terminal and without a network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "home" / ".ssh").mkdir(parents=True)
        self.profile = folder / "x.toml"
        # Nobody listens there, and nobody is asked for a name.
        text = TEXT
        for number, host in enumerate(DOCUMENT["hosts"].values(), start=1):
            text = text.replace(f'"{host["address"]}"', f'"127.0.0.{number}"')
        text = text.replace('identity = "agent"', 'identity = "~/.ssh/id_ed25519"')
        text = text.replace('user = "sles"', 'user = "root"').replace('"sudo" ', '"root" ', 1)
        text = re.sub(r"(?m)^sudo-password .*\n", "", text)
        self.text = text.replace("[ssh]", "[ssh]\nport = 1\nconnect-timeout = 5", 1)
        self.write("x.toml", self.text.encode())
        self.write("agent.toml", text.replace('"~/.ssh/id_ed25519"', '"agent"').encode())
        self.write("x.lock.toml", LOCK.encode())
        secrets = sealed.seal(tomli_w.dumps(SECRETS).encode(), "the passphrase")
        for name in ("x", "agent"):
            self.write(f"{name}.secrets", secrets)
        self.write("passphrase", b"the passphrase\n")
        self.write("home/.ssh/known_hosts", b"")
        own = text.replace(
            '[pki]\nmode = "managed"', '[pki]\nca = "site-ca.pem"\nmode = "bring-your-own"', 1
        )
        self.write("own.toml", re.sub(r"(?m)^leaf-days .*\n", "", own).encode())
        (folder / "certificates").mkdir()
        self.write("certificates/server-k3s-server-1.crt", pems()[1])
        self.write("site-ca.pem", authority().certificate_pem.encode())

    def write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.touch(0o600)
        path.write_bytes(content)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "k3s_tui", *words],
            cwd=self.folder,
            env={
                "HOME": str(self.folder / "home"),
                "XDG_STATE_HOME": str(self.folder / "state"),
                "K3S_TUI_PASSPHRASE_FILE": str(self.folder / "passphrase"),
                "TMPDIR": str(self.folder),
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=100,
            check=False,
        )


COMMANDS: dict[str, tuple[tuple[str, ...], str, set[int]]] = {
    # What is spoiled: the command that reads it, its file, and how it may end.
    "profile": (("check", "x.toml"), "x.toml", {Exit.OK, Exit.PROFILE}),
    "secret store, sealed": (("secret", "list", "x.toml"), "x.secrets", {0, Exit.CREDENTIALS}),
    "secret file": (("secret", "list", "x.toml"), "passphrase", {0, Exit.CREDENTIALS}),
    "lock file": (("plan", "x.toml"), "x.lock.toml", {3, 4, 5}),
    "known_hosts": (("plan", "x.toml"), "home/.ssh/known_hosts", {4, 5}),
    "SSH key": (("plan", "x.toml"), "home/.ssh/id_ed25519", {4, 5}),
    "SSH certificate": (("plan", "x.toml"), "home/.ssh/id_ed25519-cert.pub", {4, 5}),
    "ssh_config, on the way": (("plan", "agent.toml"), "home/.ssh/config", {2, 4, 5}),
    "CA of others": (("check", "own.toml"), "site-ca.pem", {0, 4}),
    "certificate of others": (
        ("pki", "import", "own.toml", "certificates"),
        "certificates/server-k3s-server-1.crt",
        {0, 4},
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.timeout(7200 if FULL else 300)
def test_the_command(targets: dict[str, Target], name: str, tmp_path: Path, tally: Tally) -> None:
    words, file, exits = COMMANDS[name]
    cli, target = Cli(tmp_path), targets[name]
    if name != "SSH key":
        cli.write("home/.ssh/id_ed25519", keys()[1])
    row = tally("P7", "spoiled files, through the command")
    for number in range(amount(3, 60)):
        data = mutated(number, target)
        if name == "secret store, sealed" and sealed.work(data) > 12:
            continue
        cli.write(file, data)
        done = cli(*words)
        row.injected += 1
        assert done.returncode in exits, (number, done.returncode, done.stderr, data[:2000])
        assert "Traceback" not in done.stdout + done.stderr, (number, done.stderr)
        assert done.returncode == 0 or "error" in done.stderr, (number, done.stderr)
        row.survived += 1


THEME = """\
name = "own"
primary = "#88aaff"
dark = true
[variables]
footer-key-foreground = "#ffffff"
"""


def theme(cli: Cli) -> Path:
    """A theme of the operator's, which is the one in use."""
    own = cli.folder / "home" / ".config" / "k3s-tui"
    (own / "themes").mkdir(parents=True)
    (own / "wizard.toml").write_text('theme = "own"\n')
    return own / "themes" / "own.toml"


def recording_of_last_run(cli: Cli) -> Path:
    """That of the profile which the wizard's first screen lists first, and offers to resume."""
    for name in ("own.toml", "x.toml"):
        (cli.folder / name).unlink()
    run = runs_folder(cli.folder / "agent.toml", DOCUMENT["name"]) / "20260101T000000-0000"
    run.mkdir(parents=True)
    return run / EVENTS


READ_BY_THE_WIZARD = {
    # What is spoiled: where it lies, and what the first screen says of one that is whole or broken.
    "theme": (theme, THEME.encode(), "k3s-tui", b"(", "theme own.toml: not valid TOML"),
    "event recording": (recording_of_last_run, b"", "Resume agent.toml", b"(", "Open agent.toml"),
}


@pytest.mark.parametrize("name", READ_BY_THE_WIZARD)
@pytest.mark.timeout(7200 if FULL else 300)
def test_the_wizard(
    targets: dict[str, Target],
    name: str,
    tmp_path: Path,
    tally: Tally,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place, sample, whole, broken, told = READ_BY_THE_WIZARD[name]
    cli, target = Cli(tmp_path), targets[name]
    file = place(cli)
    if sample:  # those that are shipped have names that are taken
        target = replace(target, samples=[sample])
    else:
        # Without its end: a run that was killed.
        kept = [line for line in target.samples[0].splitlines(True) if b'"run-done"' not in line]
        target = replace(target, samples=[b"".join(kept)])
    _starts_and_ends(cli, file, target.samples[0], whole)
    _starts_and_ends(cli, file, broken, told)
    row = tally("P7", "spoiled files, through the command")
    for number in range(amount(3, 60)):
        row.injected += 1
        _starts_and_ends(cli, file, mutated(number, target), "agent.toml")
        row.survived += 1


def _starts_and_ends(cli: Cli, file: Path, content: bytes, says: str) -> None:
    file.write_bytes(content)
    env = {
        "HOME": str(cli.folder / "home"),
        "XDG_STATE_HOME": str(cli.folder / "state"),
        "TMPDIR": str(cli.folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    argv = (sys.executable, "-m", "k3s_tui")
    with terminal(argv, cli.folder, size=(120, 40), env=env) as tty:
        tty.until(lambda screen: says in screen and "agent.toml" in screen)
        tty.press("C-q")
        assert tty.exit_status() == 0, content[:2000]
        assert tty.is_sane() and "Traceback" not in tty.screen, content[:2000]


@pytest.mark.timeout(7200 if FULL else 900)
def test_the_list_of_a_bundle(
    targets: dict[str, Target], bare_hosts: Lab, tmp_path: Path, tally: Tally
) -> None:
    """It is read once the hosts have said what they are: which files are needed goes by that."""
    product = Product(bare_hosts, tmp_path)
    edit(product, 'source = "online"', 'source = "airgap"\nbundle = "bundle"')
    assert product.init().status == 0
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    shutil.copyfile(paths.RELEASES / "install.sh", bundle / "install.sh")
    shutil.copyfile(paths.RELEASES / releases.offered_version() / BINARY, bundle / BINARY)
    write_sums(bundle)
    step = "laptop/preflight/bundle"
    assert product.plan("--only", step).status == 0
    file = bundle / "sha256sums.txt"
    target = replace(targets["bundle"], samples=[file.read_bytes()])
    row = tally("P7", "spoiled files, through the command")
    for number in range(amount(5, 60)):
        file.write_bytes(mutated(number, target))
        done = product.run("plan", product.profile, "--only", step)
        row.injected += 1
        assert done.status in (Exit.OK, Exit.REFUSED), (number, done)
        assert "Traceback" not in done.out + done.err, (number, done)
        assert done.status == 0 or f"error: nothing was changed: {step}: " in done.err, done
        row.survived += 1
    file.write_bytes(b"\0")
    done = product.run("plan", product.profile, "--only", step)
    assert done.status == Exit.REFUSED and "sha256sums.txt" in done.err, done


DAMAGED = (
    # Each of these once met a parser that raised what nobody had thought of.
    ("home/.ssh/config", b"= root\n", ("plan", "x.toml"), 2),
    ("home/.ssh/config", b"ProxyJump a:22b\n", ("plan", "x.toml"), 2),
    ("home/.ssh/config", b"HostName a..b\n", ("plan", "x.toml"), 2),
    # Each way led through itself, and nothing ever came of it.
    ("home/.ssh/config", b"Match all\n  ProxyJump ops@bastion\n", ("plan", "x.toml"), 2),
    ("home/.ssh/config", b"ProxyJump a\nHost a\n  ProxyJump b\n", ("plan", "x.toml"), 2),
    # NUL in the path of a key: there is no such key.
    ("home/.ssh/config", b'IdentityFile "~/.s\0h/id"\n', ("plan", "agent.toml"), 4),
    (
        "home/.ssh/id_ed25519",
        keys()[1].replace(b"OPENSSH", b"OPENS[H"),
        ("plan", "x.toml"),
        Exit.CREDENTIALS,
    ),
    (
        "home/.ssh/id_ed25519-cert.pub",
        b"ssh-ed25519-cert-v01@openssh.com AAAA x",
        ("plan", "x.toml"),
        Exit.CREDENTIALS,
    ),
    (
        "site-ca.pem",
        pem_of(authority().certificate_pem, b"\x0c\x0ba test's CA", b"\x1e\x0ba test's CA"),
        ("check", "own.toml"),
        Exit.CREDENTIALS,
    ),
    (
        "site-ca.pem",
        pem_of(authority().certificate_pem, b"\x0c\x0ba test's CA", b"\x1e\x0ba test's CA"),
        ("pki", "import", "own.toml", "certificates"),
        Exit.CREDENTIALS,
    ),
)


@pytest.mark.parametrize(("file", "content", "words", "exit"), DAMAGED)
def test_a_damaged_file_is_named(
    file: str, content: bytes, words: Sequence[str], exit: int, tmp_path: Path, tally: Tally
) -> None:
    cli = Cli(tmp_path)
    cli.write("home/.ssh/id_ed25519", keys()[1])
    row = tally("P7", "spoiled files, through the command")
    row.injected += 1
    cli.write(file, content)
    done = cli(*words)
    assert done.returncode == exit, done
    name = "pki.ca" if file == "site-ca.pem" else file.removeprefix("home/")
    if words[-1] == "agent.toml":
        name = "there is no SSH key to log in with"
    assert name in done.stdout + done.stderr, done
    row.survived += 1


def test_good_files_are_read_to_the_end(tmp_path: Path) -> None:
    """Else nothing of the above would have met its reader."""
    cli = Cli(tmp_path)
    cli.write("home/.ssh/id_ed25519", keys()[1])
    cli.write("home/.ssh/config", CONFIG.encode())
    for profile in ("x.toml", "agent.toml"):
        done = cli("plan", profile)
        assert done.returncode == Exit.REFUSED and "nothing listens" in done.stderr, done
    assert cli("check", "own.toml").returncode == Exit.OK
    assert "FAIL  time" in cli("pki", "import", "own.toml", "certificates").stdout


def test_a_damaged_authority_of_hosts_is_passed_over(tmp_path: Path) -> None:
    """OpenSSH skips what it cannot parse in known_hosts; so do we."""
    public = next(key for key in keys() if key.startswith(b"ecdsa-sha2-nistp256"))
    blob = bytearray(base64.b64decode(public.split()[1]))
    blob[-40:] = bytes(40)
    line = b"@cert-authority 127.0.0.* ecdsa-sha2-nistp256 " + base64.b64encode(blob) + b"\n"
    cli = Cli(tmp_path)
    cli.write("home/.ssh/id_ed25519", keys()[1])
    cli.write("home/.ssh/known_hosts", line)
    done = cli("plan", "x.toml")
    assert done.returncode == Exit.REFUSED and "nothing listens" in done.stderr, done


ODD_ARGUMENTS = [
    "", "a\nb.toml", "\x1b[2J.toml", "[/].toml", "é\u202e.toml", "x" * 300 + ".toml",
    "/dev/null", "/proc/self/mem", "x.toml/y.toml", "--", "-", "~nobody/x.toml", "\udcff.toml",
]  # fmt: skip


@pytest.mark.parametrize("verb", ["check", "plan", "apply", "verify", "secret list", "secret init"])
@pytest.mark.timeout(120)
def test_odd_names_of_profiles(verb: str, tmp_path: Path, tally: Tally) -> None:
    cli = Cli(tmp_path)
    row = tally("P7", "odd paths, through the command")
    chosen = ODD_ARGUMENTS if FULL else ODD_ARGUMENTS[hash_of(verb) % 3 :: 3]
    for argument in chosen:
        done = cli(*verb.split(), argument)
        row.injected += 1
        assert done.returncode in (2, 3, 4, 5), (argument, done)
        assert "Traceback" not in done.stderr and "\x1b" not in done.stderr, (argument, done)
        row.survived += 1


def hash_of(word: str) -> int:
    """The same in every process."""
    return sum(word.encode())
