"""A file that a host fetches for itself."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.errors import Refused, StepFailed
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import PLACE, quote
from k3s_tui.resources.file import LOOK, FileState, ask, describe, parent, parse
from k3s_tui.resources.published import FirstSum

FETCHED = "/var/lib/k3s-tui/fetched"
"""Marks, by the name of the file: the SHA-256 of what was fetched, and the URL it came from."""

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
class DownloadState(FileState):
    """What is at the path.  `vouched`: a mark of ours says that these bytes came from the URL.

    Nobody needs that where the checksum is known.
    """

    vouched: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Download:
    """The file behind an `https://` URL, at a path.

    `sha256` is what its content must have, `wanted_by` says in words who wants it.  None for a
    first use of which nothing is known yet: then its source is asked, by `listed_in` if it has such
    a list of sums, and what came is right; its digest (`state.digest`) is to be recorded.  What lay
    there before is not right: it counts only by a mark, which a run that was killed leaves behind.
    A download that differs is removed, and never gets the mode or the name under which somebody
    could run it.
    """

    url: str
    path: str
    sha256: str | None
    mode: str = "0755"
    owner: str = "root:root"
    wanted_by: str = ""
    listed_in: str = ""
    marks: str = FETCHED

    def __post_init__(self) -> None:
        if not self.url.startswith("https://"):
            raise Refused(f"{self.url} is not an https:// address")

    @property
    def _mark(self) -> str:
        return posixpath.join(self.marks, posixpath.basename(self.path))

    def probe(self) -> Probe[DownloadState]:
        look = LOOK + ask(self.path)
        return Probe(look if self.sha256 else look + ask(self._mark, unless="none"), self._parse)

    def _parse(self, out: bytes) -> DownloadState:
        lines = out.decode(errors="replace").split("\n")
        found = parse(lines[:2], self.owner)
        vouched = False
        if not self.sha256 and found.kind == "file":
            mark = parse(lines[2:4], self.owner)
            said = f"{found.digest}  {self.url}\n"
            vouched = (mark.kind, mark.owner, mark.text) == ("file", self.owner, said)
        return DownloadState(found.kind, found.digest, found.mode, found.owner, vouched=vouched)

    def diff(self, now: DownloadState) -> Change[DownloadState] | Problem | None:
        if now.kind in ("folder", "other"):
            return Problem(f"{self.path} is not a file", hint="move it away, then run again")
        digest = self.sha256 or (now.digest if now.vouched else "")
        want = DownloadState("file", digest, self.mode, self.owner)
        if now == want:
            return None
        if now.kind == "file" and now.digest == want.digest:
            return Change(describe(self.path, now, want), after=want)
        told = f"download {self.url} to {self.path}"
        if now.kind == "file" and self.sha256:
            told += (
                f" (its SHA-256 is {now.digest}, wanted is {_words(self.sha256, self.wanted_by)})"
            )
        elif now.kind == "file":
            told += " (nothing says that what is there came from that address)"
        return Change(told, after=want if self.sha256 else None)

    async def apply(self, on: Hands, change: Change[DownloadState]) -> None:
        wanted, by, warning = self.sha256, self.wanted_by, ""
        if wanted is None and change.after is not None:  # by its mark, all is right but the mode
            wanted, by = change.after.digest, "as it was fetched before"
        elif wanted is None and self.listed_in:
            wanted, warning = await self._asked(on)
            by = f"as {self.listed_in} says"
        out = await on.sh(self._script(wanted or "any", warning))
        got = sanitize(out.decode(errors="replace").strip())
        if got:
            raise StepFailed(
                f"what {self.url} gave is not what it should be: its SHA-256 is {got}, "
                f"wanted is {_words(wanted, by)}",
                hint="it was removed, not used; find out why it changed before trusting it",
                host=on.host.name,
            )

    async def _asked(self, on: Hands) -> tuple[str | None, str]:
        """What the source's list says; or None, and what that means, when it has no list.

        Raises StepFailed when nobody answers.
        """
        first = FirstSum(self.url, self.listed_in)
        now = first.parse(await on.sh(first.ask))
        problem = first.missing(now)
        if problem is None:
            return now.digest, ""
        if not now.unlisted:
            raise StepFailed(problem.text, hint=problem.hint, host=on.host.name)
        return None, problem.text

    def _script(self, wanted: str, warning: str) -> str:
        """Says the SHA-256 of what came, if that is another one than `wanted`."""
        path, owner = quote(self.path), quote(self.owner)
        return f"""\
{PLACE}{_FETCH}\
{parent(self.path, "0755")} || exit
finish() {{ chown {owner} "$1" && chmod {self.mode} "$1"; }}
sum() {{ sha256sum <"$1" | cut -d ' ' -f 1; }}
is() {{ [ -f {path} ] && [ ! -h {path} ] && [ "$(sum {path})" = "$1" ]; }}
{self._marking()}\
wanted={wanted} warning={quote(warning)}
[ -z "$warning" ] || printf '%s\\n' "$warning" >&2
if is $wanted; then
    mark {path} && finish {path}
    exit
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
mark "$tmp" || exit
if is "$(sum "$tmp")"; then
    finish {path}
    exit
fi
{{ sync "$tmp" 2>/dev/null || sync; }} && finish "$tmp" && mv -f "$tmp" {path}
"""

    def _marking(self) -> str:
        """It is marked before it has its name: after a kill in between, the mark fits no file."""
        if self.sha256:
            return "mark() { :; }\n"
        said = f"""printf '%s  %s\\n' "$(sum "$1")" {quote(self.url)}"""
        return f"""\
{parent(self._mark, "0755")} || exit
mark() {{ # file
    {said} |
        place {quote(self._mark)} 0600 {quote(self.owner)} "$({said} | sha256sum | cut -d ' ' -f 1)"
}}
"""


def _words(sha256: str | None, wanted_by: str) -> str:
    return f"{sha256}, {wanted_by}" if wanted_by else f"{sha256}"
