"""A file that a host fetches for itself."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.errors import Refused, StepFailed
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import SPARE, quote
from k3s_tui.resources.file import LOOK, FileState, ask, describe, parent, parse

# `--proto` holds for redirects too: they must not lead away from HTTPS.  Of the many wgets not all
# can promise that, or even check a certificate: they serve only where the checksum is known.
_FETCH = """\
fetch() { # url file sha256
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL --proto '=https' --retry 3 --retry-delay 2 \\
            --connect-timeout 15 --speed-limit 1024 --speed-time 60 -o "$2" "$1"
    elif [ "$3" != any ] && command -v wget >/dev/null 2>&1; then
        wget -q -T 60 -O "$2" "$1" || wget -q -T 60 -O "$2" "$1"
    else
        echo "curl is not installed" >&2
        return 1
    fi
}
"""


@dataclass(frozen=True)
class Download:
    """The file behind an `https://` URL, at a path.

    `sha256` is what its content must have; None for a first use, when whatever is there after the
    download is right and its digest (`state.digest`) is to be recorded.  A download that differs
    is removed, and never gets the mode or the name under which somebody could run it.
    """

    url: str
    path: str
    sha256: str | None
    mode: str = "0755"
    owner: str = "root:root"

    def __post_init__(self) -> None:
        if not self.url.startswith("https://"):
            raise Refused(f"{self.url} is not an https:// address")

    def probe(self) -> Probe[FileState]:
        return Probe(
            LOOK + ask(self.path),
            lambda out: parse(out.decode(errors="replace").split("\n")[:2], self.owner),
        )

    def diff(self, now: FileState) -> Change[FileState] | Problem | None:
        if now.kind in ("folder", "other"):
            return Problem(f"{self.path} is not a file", hint="move it away, then run again")
        want = FileState("file", self.sha256 or now.digest, self.mode, self.owner)
        if now == want:
            return None
        if now.kind == "file" and now.digest == want.digest:
            return Change(describe(self.path, now, want), after=want)
        told = f"download {self.url} to {self.path}"
        if now.kind == "file":
            told += f" (its SHA-256 is {now.digest}, wanted is {self.sha256})"
        return Change(told, after=want if self.sha256 else None)

    async def apply(self, on: Hands, change: Change[FileState]) -> None:
        path, owner = quote(self.path), quote(self.owner)
        out = await on.sh(
            f"""\
{SPARE}{_FETCH}\
{parent(self.path, "0755")} || exit
finish() {{ chown {owner} "$1" && chmod {self.mode} "$1"; }}
sum() {{ sha256sum <"$1" | cut -d ' ' -f 1; }}
wanted={self.sha256 or "any"}
if [ -f {path} ] && [ ! -h {path} ]; then
    if [ $wanted = any ] || [ "$(sum {path})" = $wanted ]; then
        finish {path}
        exit
    fi
fi
tmp=$(spare {quote(posixpath.dirname(self.path))}) || exit
trap 'rm -f "$tmp"' EXIT
fetch {quote(self.url)} "$tmp" $wanted || {{
    echo {quote(f"cannot download {self.url}")} >&2
    exit 1
}}
if [ $wanted != any ] && [ "$(sum "$tmp")" != $wanted ]; then
    sum "$tmp"
    exit
fi
{{ sync "$tmp" 2>/dev/null || sync; }} && finish "$tmp" && mv -f "$tmp" {path}
"""
        )
        got = sanitize(out.decode(errors="replace").strip())
        if got:
            raise StepFailed(
                f"what {self.url} gave is not what it should be: its SHA-256 is {got}, "
                f"wanted is {self.sha256}",
                hint="it was removed, not used; find out why it changed before trusting it",
                host=on.host.name,
            )
