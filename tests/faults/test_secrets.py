"""P8: a secret is nowhere but in the files that are made for it, and those nobody else can read."""

from __future__ import annotations

import base64
import datetime
import html
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from k3s_tui.pki.authority import Authority
from tests.faults import haunted as h
from tests.faults.canaries import Canary, Nest, strange, word
from tests.faults.haunted import Haunted, clean
from tests.faults.tally import FULL, Row, Tally
from tests.lab import paths
from tests.lab.lab import Lab

SERVER = {
    "/etc/rancher/k3s/config.yaml.d/50-secrets.yaml": {h.DATASTORE, h.TOKEN, h.AGENT_TOKEN},
    # K3s's own: it writes them 0600 itself.
    "/var/lib/rancher/k3s/server/token": {h.TOKEN},
    "/var/lib/rancher/k3s/server/node-token": {h.TOKEN},
    "/var/lib/rancher/k3s/server/agent-token": {h.AGENT_TOKEN},
    "/var/lib/rancher/k3s/server/cred/passwd": {h.TOKEN, h.AGENT_TOKEN},
}
ALLOWED: dict[str, dict[str, set[str]]] = {
    "k3s-server-1": SERVER,
    "k3s-server-2": SERVER,
    "k3s-agent": {"/etc/rancher/k3s/config.yaml.d/50-secrets.yaml": {h.AGENT_TOKEN}},
    "postgres": {},
    "nginx": {},
}
"""The one list of files on hosts that may hold a secret, each with mode 0600."""

LAPTOP = {"passphrase": {h.PASSPHRASE}, "sudo-password": {h.SUDO}}
"""On the laptop: what the operator put there. The store itself is encrypted."""


@pytest.fixture(scope="module")
def haunted(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Haunted]:
    with h.haunt(bare_hosts, tmp_path_factory.mktemp("haunted") / "operator") as made:
        yield made


@pytest.fixture(scope="module")
def row(haunted: Haunted, tally: Tally) -> Row:
    row = tally("P8", "a canary for each secret, in every run and place")
    row.injected = len(haunted.values)
    return row


def test_the_runs_ended_as_they_should(haunted: Haunted) -> None:
    """A search after runs that did something else would find nothing, and mean nothing."""
    statuses = {name: done.status for name, done in haunted.runs.items()}
    killed = {statuses.pop(name) for name in [*statuses] if name.startswith("killed")}
    assert killed == {-signal.SIGKILL}
    assert statuses == {
        "wrong sudo password": 4,
        "wrong passphrase": 4,
        "apply": 0,
        "wrong database password": 6 if FULL else 0,
        "another cluster's token": 5,
    }, {name: str(done) for name, done in haunted.runs.items()}


def test_no_secret_is_printed(haunted: Haunted, row: Row) -> None:
    for name, done in haunted.runs.items():
        clean(row, {name: names} if (names := haunted.nest.within(done.out + done.err)) else None)


def test_no_secret_is_on_a_screen(haunted: Haunted, row: Row) -> None:
    drawn = haunted.screens.read_bytes()
    for text in (b"verified", b"Passphrase of", b"lab.secrets"):
        assert text in drawn, "it was not the wizard that was recorded"
    clean(row, haunted.nest.within(drawn))


DRAW = """
import asyncio, os, sys
from pathlib import Path
from k3s_tui.procedure.history import replay
from tests.tui import screenshots
profile, events, target = map(Path, sys.argv[1:])
drawn = asyncio.run(screenshots.draw("en", list(replay(events)), profile.resolve()))
for name, svg in drawn.items():
    (target / name).write_text(svg)
"""


def pictures(profile: Path, events: Path, folder: Path) -> dict[str, str]:
    """Each screen of the wizard as SVG: of this profile, and of that run as it was recorded.

    In a process of its own, which has a home of its own.
    """
    folder.mkdir()
    homes = ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
    subprocess.run(
        [sys.executable, "-c", DRAW, profile, events, folder],
        check=True,
        cwd=paths.REPOSITORY,
        env={**os.environ, **dict.fromkeys(homes, str(folder)), "TERM": "xterm-256color"},
        timeout=240,
    )
    return {path.name: path.read_text() for path in folder.glob("*.svg")}


def shown(svg: str) -> str:
    """The picture and, once more, the words in it, whatever style each part of them has."""
    return svg + html.unescape(re.sub(r"<[^>]+>", "", svg))


def test_no_secret_is_in_a_picture_of_a_screen(haunted: Haunted, row: Row, tmp_path: Path) -> None:
    """Of every screen, as a bug's report or a talk would show it."""
    told = {path: path.read_text() for path in haunted.product.recordings()}
    ended = [path for path, text in told.items() if '"type":"run-done"' in text]
    events = max(ended, key=lambda path: told[path].count('"outcome":"changed"'))
    drawn = pictures(haunted.product.profile, events, tmp_path / "drawn")
    assert len(drawn) >= 9, drawn.keys()
    for name, svg in drawn.items():
        clean(row, {name: found} if (found := haunted.nest.within(shown(svg))) else None)
    assert any("k3s-server-2" in shown(svg) for svg in drawn.values())
    # What is on a screen is found in its picture.
    planted = word().lower()
    other = tmp_path / "other.toml"
    text = haunted.product.profile.read_text()
    other.write_text(text.replace('database = "k3s"', f'database = "a{planted}"'))
    assert planted in other.read_text()
    nest = Nest([Canary.of("planted", planted.encode())])
    assert any(nest.within(shown(svg)) for svg in pictures(other, events, tmp_path / "o").values())


def test_no_secret_is_in_a_file_of_the_laptop(haunted: Haunted, row: Row) -> None:
    """Recordings, logs, events, profile, lock file, drafts, reports, temporary and core files."""
    folder = haunted.product.folder
    assert list(folder.rglob("events.jsonl")) and haunted.report.is_file()
    named = h.files_of_laptop(folder, haunted.nest)
    clean(row, strange(named, LAPTOP))
    assert named.keys() == LAPTOP.keys()
    clean(row, haunted.nest.below(Path("/var/tmp"), Path("/dev/shm"), Path("/var/crash")))
    mine = [path for path in Path("/tmp").glob("k3s-tui*") if path.is_dir()]
    clean(row, haunted.nest.below(*mine))


def test_the_report_says_something_and_no_secret(haunted: Haunted, row: Row) -> None:
    with tarfile.open(haunted.report) as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert {"events.jsonl", "profile.toml", "plan.txt"} <= names
    clean(row, haunted.nest.in_archive(haunted.report.read_bytes()))


def test_no_secret_is_in_the_process_of_the_tool(haunted: Haunted, row: Row) -> None:
    assert "k3s_tui" in haunted.told and "K3S_TUI_PASSPHRASE_FILE" in haunted.told
    clean(row, haunted.nest.within(haunted.told))


def test_no_program_on_a_host_was_given_a_secret(haunted: Haunted, row: Row) -> None:
    """Every execve under sshd, of the durable jobs, and of every unit: words and environment."""
    commands = haunted.started.commands
    for expected in ("sudo", "/bin/sh -s", "apt-get", "k3s server", "postgres", "nginx", "psql"):
        assert any(expected in command for command in commands), f"no {expected} was seen"
    row.note = f"{len(commands)} programs started on the hosts"
    clean(row, haunted.nest.within(haunted.started.content))


@pytest.mark.parametrize("name", ALLOWED)
def test_secrets_are_only_in_files_that_are_made_for_them(
    haunted: Haunted, row: Row, name: str
) -> None:
    host = haunted.hosts[name]
    found = h.files_of(host, haunted.nest)
    clean(row, strange(found, ALLOWED[name]))
    ours = {path for path in ALLOWED[name] if path.startswith("/etc/")}
    assert ours <= found.keys(), "the search does not find what is there"


def test_a_killed_run_leaves_secrets_nowhere_else(haunted: Haunted, row: Row) -> None:
    """What it did not end lies beside its target, and is as well kept."""
    assert haunted.left
    for hosts in haunted.left.values():
        for name, found in hosts.items():
            clean(row, strange(_targets(found), ALLOWED[name]))


def _targets(found: h.Found) -> h.Found:
    """As if what lies beside a target lay there: `.k3s-tui.Xyz123`, `.NAME.k3s-tui.new`."""
    beside = re.escape(str(Path(h.SECRETS_FILE).parent)) + r"/\.(k3s-tui\.\w{6}|.+\.k3s-tui\.\w+)"
    return {
        (h.SECRETS_FILE if re.fullmatch(beside, path) else path): what
        for path, what in found.items()
    }


def test_temporary_files_lie_where_nobody_else_can_write(haunted: Haunted) -> None:
    """Each that a script asked for on a host is in a folder of root, or of its file's own user."""
    asked = {
        command.split()[-1].rpartition("/")[0]
        for command in haunted.started.commands
        if command.startswith("mktemp ") and ".k3s-tui." in command
    }
    assert {"/etc", "/etc/rancher/k3s/config.yaml.d", "/usr/local/bin"} <= asked
    for host in haunted.hosts.values():
        for folder in asked:
            told = host.sh(f"[ ! -d {folder} ] || stat -L -c '%U %a' {folder}").split()
            if told:
                owners = {"root", "postgres"} if "postgresql" in folder else {"root"}
                assert told[0] in owners and not int(told[1], 8) & 0o022, (folder, told)


@pytest.mark.parametrize("name", ALLOWED)
def test_no_secret_is_in_a_journal(haunted: Haunted, row: Row, name: str) -> None:
    journal = haunted.hosts[name].sh("journalctl --no-pager -o export")
    assert "_SYSTEMD_UNIT=ssh" in journal
    clean(row, haunted.nest.within(journal))
    # Also last, so that the count of a row is complete.
    row.survived = row.injected


def test_a_public_key_is_no_secret() -> None:
    """Wherever it lies in a certificate; the private key is found, its text in base64, too."""
    pem = Authority.create("any", 30, datetime.datetime.now(datetime.UTC)).key.reveal()
    nest = Nest([Canary.of_pem("key", pem)])
    public = serialization.load_pem_private_key(pem.encode(), None).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    known = public.public_bytes(serialization.Encoding.DER, form)
    for lead in range(3):
        assert not nest.within(base64.b64encode(b"x" * lead + known))
    assert nest.within(pem) and nest.within(base64.b64encode(pem.encode()))


def test_the_search_finds_a_secret_in_every_form(
    haunted: Haunted, tmp_path: Path, tally: Tally
) -> None:
    """On a host, in its journal, in a program's words and environment, and on the laptop."""
    row = tally("P8", "a planted secret, which must be found")
    planted = word()
    nest = Nest([Canary.of("planted", planted.encode())])
    value = f"it's {planted}%"
    script = f"x=1\nsecret='{value}'\n".encode()
    forms = {
        "raw": value.encode(),
        "shell": shlex.quote(value).encode(),
        "percent": urllib.parse.quote(value).encode(),
        "base64": base64.b64encode(value.encode()),
        "shifted": base64.b64encode(b"x" + value.encode()),
        "shifted-more": base64.b64encode(b"xy" + value.encode()),
        "wrapped": base64.encodebytes(b"#" * 31 + script),
        "hex": value.encode().hex().encode(),
        "binary": b"\0\xff\xfe" + value.encode() + b"\0",
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
    packed = tmp_path / "report.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tmp_path / "raw", "raw")
    assert {path.name for path in nest.below(tmp_path)} == {*forms, packed.name}

    host = haunted.hosts["nginx"]
    haunted.product.lab.ssh(
        "nginx",
        f"mkdir -p /tmp/planted; env PLANTED={shlex.quote(value)} true\n"
        f"logger {shlex.quote(value)}\n"
        f"printf %s {base64.b64encode(script).decode()} >/tmp/planted/script\n"
        f"printf %s {shlex.quote(value)} | sudo tee /run/planted >/dev/null\n",
    )
    (given,) = (line for line in haunted.started.content.splitlines() if b"PLANTED=" in line[:40])
    assert nest.within(given)
    assert [
        text for text in haunted.started.commands if text.startswith("logger") and planted in text
    ]
    assert h.files_of(host, nest).keys() >= {"/tmp/planted/script", "/run/planted"}
    assert nest.within(host.sh("journalctl --no-pager -o export --sync; journalctl -o export"))
    host.sh("rm -r /tmp/planted /run/planted")
    row.injected = row.survived = len(forms) + 5
