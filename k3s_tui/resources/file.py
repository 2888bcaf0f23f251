"""Files, whole.  A file is wholly showable or wholly secret."""

from __future__ import annotations

import base64
import difflib
import hashlib
import io
import posixpath
import re
from dataclasses import dataclass, field
from typing import Literal

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import PLACE, place, quote

Kind = Literal["absent", "file", "link", "folder", "other"]

_SHOWN = 65536
"""Bytes of a present file that a probe brings back for its diff."""

LOOK = f"""\
look() {{ # path digest: one line of metadata; one of content in base64 unless it has that digest
    if [ -h "$1" ]; then look_kind=link
    elif [ -f "$1" ]; then look_kind=file
    elif [ -d "$1" ]; then look_kind=folder
    elif [ -e "$1" ]; then look_kind=other
    else printf 'absent\\n\\n'; return; fi
    look_digest=-
    [ $look_kind != file ] || look_digest=$(sha256sum <"$1")
    look_digest=${{look_digest%% *}}
    printf '%s %s %s\\n' $look_kind "${{look_digest:--}}" "$(stat -c '%a %u:%g %U:%G' "$1")"
    [ $look_kind != file ] || [ "$2" = "$look_digest" ] || [ "$2" = hide ] ||
        head -c {_SHOWN} <"$1" | base64 | tr -d '\\n'
    echo
}}
"""
"""The shell function behind `ask`."""

_CONTEXT = 3
_COMPARED = 1500
"""Lines of both sides; twice as many take four times as long, some seconds."""
_SHOWN = 256 << 10
"""Characters of a diff."""


@dataclass(frozen=True)
class FileState:
    """What is at a path.  `digest` is SHA-256 in hex, `mode` four octal digits.

    `text` is there only to be shown in a diff: None when it is as wanted, or secret.
    """

    kind: Kind
    digest: str = ""
    mode: str = ""
    owner: str = ""
    text: str | None = field(default=None, compare=False)


def ask(path: str, unless: str = "hide") -> str:
    """A command that prints two lines about `path`, for `parse`.  Needs `LOOK` before it.

    The content comes along unless its digest is `unless`; never for `hide`.
    """
    return f"look {quote(path)} {unless}\n"


def parse(lines: list[str], owner: str) -> FileState:
    """The state told by two lines; its owner in the terms of the wanted one, when it is that one.

    Raises ValueError for lines that `look` did not print.
    """
    told, content = lines
    if told == "absent":
        return FileState("absent")
    kind, digest, mode, ids, names = told.split(" ", 4)
    if kind not in ("file", "link", "folder", "other"):
        raise ValueError(f"unknown kind of file: {kind!r}")
    text = base64.b64decode(content).decode(errors="replace") if content else None
    return FileState(
        kind,  # type: ignore[arg-type]  # checked above
        sanitize(digest) if kind == "file" else "",
        sanitize(mode.zfill(4)),
        _in_terms_of(owner, ids, names),
        text,
    )


def _in_terms_of(wanted: str, ids: str, names: str) -> str:
    """`0:0` is `root:root`: an owner may be given by names or by numbers."""
    same = all(
        want in pair
        for want, pair in zip(
            wanted.split(":"), zip(ids.split(":"), names.split(":"), strict=True), strict=True
        )
    )
    return wanted if same else sanitize(names)


@dataclass(frozen=True)
class File:
    """A file with exactly this content, mode and owner.

    Missing parent folders are made with `folder_mode`, owned by root; present ones are left as
    they are.  A Secret's content never shows, and its mode must keep others out.  Bytes that
    are no UTF-8 stand in a content as surrogates, by `surrogateescape`.
    """

    path: str
    content: str | Secret
    mode: str = "0644"
    owner: str = "root:root"
    folder_mode: str = "0755"

    def __post_init__(self) -> None:
        _check(self.path, self.mode, self.owner, self.folder_mode)
        if isinstance(self.content, Secret) and int(self.mode, 8) & 0o077:
            raise ValueError(f"{self.path} holds a secret: mode {self.mode} is too wide")

    @property
    def raw(self) -> bytes:
        content = self.content
        text = content.reveal() if isinstance(content, Secret) else content
        return text.encode(errors="surrogateescape")

    @property
    def state(self) -> FileState:
        """The state that is wanted."""
        shown = None if isinstance(self.content, Secret) else self.content
        digest = hashlib.sha256(self.raw).hexdigest()
        return FileState("file", digest, self.mode, self.owner, shown)

    @property
    def ask(self) -> str:
        """As the function `ask`, showing what may be shown."""
        return ask(self.path, "hide" if isinstance(self.content, Secret) else self.state.digest)

    def placing(self, at: str = "") -> str:
        """A command that puts the content at the path (or at another one).  Needs `PLACE`."""
        return place(at or self.path, self.raw, mode=self.mode, owner=self.owner)

    def probe(self) -> Probe[FileState]:
        return Probe(LOOK + self.ask, lambda out: parse(_lines(out), self.owner))

    def diff(self, now: FileState) -> Change[FileState] | Problem | None:
        want = self.state
        if now == want:
            return None
        if now.kind in ("folder", "other"):
            return Problem(f"{self.path} is not a file", hint="move it away, then run again")
        return Change(describe(self.path, now, want), show(self.path, now, want), want)

    async def apply(self, on: Hands, change: Change[FileState]) -> None:
        await on.sh(f"{PLACE}{parent(self.path, self.folder_mode)} || exit\n{self.placing()}")


def parent(path: str, mode: str) -> str:
    """A command that makes the missing folders above `path`, each with `mode`."""
    folder = quote(posixpath.dirname(path))
    # By umask, not by `mkdir -m`: that would leave the folders in between to chance.
    umask = f"{0o777 & ~int(mode, 8):04o}"
    return f"[ -d {folder} ] || (umask {umask}; mkdir -p {folder})"


def describe(path: str, now: FileState, want: FileState) -> str:
    """What it takes to come from one state to the other, in a few words."""
    if now.kind == "absent":
        return f"create {path}"
    changes = []
    if now.mode != want.mode and now.kind == want.kind:
        changes.append(f"mode {now.mode} → {want.mode}")
    if now.owner != want.owner:
        changes.append(f"owner {now.owner} → {want.owner}")
    if now.kind != want.kind:
        return f"replace {path}, a {now.kind}"
    if now.digest != want.digest:
        return " ".join([f"write {path}", *([f"({', '.join(changes)})"] if changes else [])])
    return f"set {', '.join(changes)} of {path}"


def show(path: str, now: FileState, want: FileState) -> str:
    """A unified diff of the contents; '' when they are equal or not to be shown."""
    if want.text is None or now.digest == want.digest:
        return ""
    return unified(path, now.text or "", want.text)


def unified(path: str, before: str, after: str) -> str:
    """A unified diff, harmless to show, with a note where a last line does not end.

    To compare lines takes the square of their number, so what is equal at both ends of a long file
    is left out first; of what is then still too much, only the number of lines is told.
    """
    old, new, name = _split(before), _split(after), path
    if len(old) + len(new) > _COMPARED:
        head, tail = _alike(old, new)
        first = max(0, head - _CONTEXT)
        old = old[first : len(old) - max(0, tail - _CONTEXT)]
        new = new[first : len(new) - max(0, tail - _CONTEXT)]
        name = f"{path} (from line {first + 1} on)"
    too_much = f"--- {path}\n+++ {path}\n{len(old)} lines → {len(new)} lines, too much to show\n"
    if len(old) + len(new) > _COMPARED:
        return too_much
    told: list[str] = []
    for line in difflib.unified_diff(old, new, name, name):
        told.append(sanitize(line.removesuffix("\n")))
        if not line.endswith("\n"):
            told.append("\\ no newline at the end")
    shown = "".join(f"{line}\n" for line in told)
    return shown if len(shown) <= _SHOWN else too_much


def _alike(old: list[str], new: list[str]) -> tuple[int, int]:
    """How many lines are the same at the beginning, and how many at the end."""
    shorter = min(len(old), len(new))
    head = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    rest = shorter - head
    tail = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    return head, tail


def _split(text: str) -> list[str]:
    """Lines as files have them: `splitlines` would also split at a form feed."""
    return io.StringIO(text, newline="\n").readlines()


def _lines(out: bytes) -> list[str]:
    return out.decode(errors="replace").split("\n")[:2]


def _check(path: str, *shapes: str) -> None:
    """Paths are absolute and modes octal: a mistake here would be a file in a wrong place."""
    if not path.startswith("/") or path.endswith("/") or "/../" in path:
        raise ValueError(f"not an absolute path: {path!r}")
    for shape in shapes:
        if not re.fullmatch(r"0[0-7]{3}|[\w.-]+:[\w.-]+", shape):
            raise ValueError(f"neither a mode nor an owner: {shape!r}")
