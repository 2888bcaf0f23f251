"""What one hands on when a run went wrong: all that explains it, and no secret."""

from __future__ import annotations

import io
import platform
import sys
import tarfile
import time
from importlib import metadata
from pathlib import Path

import k3s_tui
from k3s_tui.core.errors import OperatorError
from k3s_tui.core.events import Planned, RunDone, StepDone
from k3s_tui.core.files import write_atomically
from k3s_tui.core.secret import MASK, Redactor
from k3s_tui.core.system import explained, trace
from k3s_tui.engine.record import EVENTS
from k3s_tui.procedure.history import replay
from k3s_tui.profile.conceal import concealed
from k3s_tui.profile.neighbours import lock_file

CONTENTS = {
    EVENTS: "every event of the run: steps, what hosts said, how it ended",
    "plan.txt": "what was to be done",
    "ending.txt": "what failed, and the last lines of it",
    "profile.toml": "the profile, with references to secrets; comments are blanked",
    "lock.toml": "host keys and checksums",
    "versions.txt": "of k3s-tui, Python and the libraries",
    "bug.txt": "where in k3s-tui it went wrong, when it was a bug",
}
"""Names of files, and what each is; some may be missing."""

_LARGEST = 64 << 20
"""Bytes of the events that are handed on: the last ones."""

_LIBRARIES = ("asyncssh", "cryptography", "msgspec", "psycopg", "textual")

_PREFACE = """\
This explains one run of k3s-tui to others.

It holds names, addresses and users of hosts, and what the hosts said.  It holds no password, token
or private key: those were masked.  Look through it all the same before you hand it on.

"""


def report_file(events: Path) -> Path:
    """Where the report of the run with these events lies: beside the run's folder."""
    return events.parent.with_name(f"{events.parent.name}-report.tar.gz")


def save(
    events: Path, profile: Path, redact: Redactor, *, bug: BaseException | None = None
) -> Path:
    """Write a report (0600) on the run that was recorded at `events`, and return its path.

    Everything in it passes `redact` once more.  Raises OperatorError when it cannot be written.
    """
    target = report_file(events)
    try:
        texts = _texts(events, profile, bug)
        archive = _archive(target.name.removesuffix(".tar.gz"), texts, redact)
        write_atomically(target, archive)
    except OSError as error:
        raise explained(error) or OperatorError(f"the report cannot be saved: {error}") from error
    return target


def _texts(events: Path, profile: Path, bug: BaseException | None) -> dict[str, str]:
    texts = {
        EVENTS: _last(events),
        "plan.txt": _plan(events),
        "ending.txt": _ending(events),
        "profile.toml": _profile(profile),
        "lock.toml": _text(lock_file(profile)),
        "versions.txt": _versions(),
        "bug.txt": trace(bug) if bug is not None else "",
    }
    there = {name: text for name, text in texts.items() if text}
    index = "".join(f"{name:<14}{CONTENTS[name]}\n" for name in there)
    return {"README.txt": _PREFACE + index, **there}


def _archive(folder: str, texts: dict[str, str], redact: Redactor) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in texts.items():
            content = redact(text).encode()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode, member.mtime = len(content), 0o600, int(time.time())
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _last(events: Path) -> str:
    with events.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LARGEST))
        if file.tell():
            file.readline()  # the rest of a line
        return file.read().decode(errors="replace")


def _plan(events: Path) -> str:
    lines = []
    for event in replay(events):
        if isinstance(event, Planned):
            lines.append(f"{event.verdict:<8} {event.step}: {event.summary or 'as wanted'}")
            lines += [f"         {line}" for line in event.diff.splitlines()]
            lines += [f"         warning: {event.warning}"] if event.warning else []
    return "\n".join(lines)


def _ending(events: Path) -> str:
    parts = []
    for event in replay(events):
        if isinstance(event, StepDone) and event.outcome == "failed":
            parts += [
                f"{event.step}: {event.error}",
                event.tail,
                event.hint and f"try: {event.hint}",
            ]
        elif isinstance(event, RunDone):
            parts += [f"exit {event.exit}: {event.error or 'ok'}", event.hint]
    return "\n".join(part for part in parts if part)


def _profile(path: Path) -> str:
    """The profile's text; what is or may be a secret out of place is masked."""
    source = _text(path).replace("\r\n", "\n")
    shown, at = [], 0
    for span in concealed(source):
        shown += [source[at : span.start], MASK]
        at = span.end
    return "".join([*shown, source[at:]])


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _versions() -> str:
    lines = [
        f"k3s-tui {k3s_tui.__version__}",
        f"Python {sys.version.split()[0]}",
        platform.platform(),
    ]
    for name in _LIBRARIES:
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{name}: not there")
    return "\n".join(lines)
