"""A file that comes from the laptop over SSH."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import SPARE, quote
from k3s_tui.resources.file import LOOK, FileState, ask, describe, parent, parse

STAGING = "/var/lib/k3s-tui/pushed"
"""Where files gather, by their SHA-256, until they are whole and checked.  Only root looks in."""


@dataclass(frozen=True)
class Pushed:
    """The laptop's file `source`, at a path.

    `sha256` is what it must have, here and there: it gets its name only on a host that has
    computed the same.  What arrived before a run was cut off is not sent again.  With `release`,
    the file is a K3s that must say so of itself when it is asked for its `--version`.
    """

    source: Path
    path: str
    sha256: str
    mode: str = "0755"
    owner: str = "root:root"
    release: str = ""
    staging: str = STAGING

    def probe(self) -> Probe[FileState]:
        return Probe(
            LOOK + ask(self.path),
            lambda out: parse(out.decode(errors="replace").split("\n")[:2], self.owner),
        )

    def diff(self, now: FileState) -> Change[FileState] | Problem | None:
        if now.kind in ("folder", "other"):
            return Problem(f"{self.path} is not a file", hint="move it away, then run again")
        want = FileState("file", self.sha256, self.mode, self.owner)
        if now == want:
            return None
        if now.kind == "file" and now.digest == want.digest:
            return Change(describe(self.path, now, want), after=want)
        told = f"push {self.source.name} to {self.path}"
        if now.kind == "file":
            told += f" (its SHA-256 is {now.digest}, wanted is {self.sha256})"
        return Change(told, after=want)

    async def apply(self, on: Hands, change: Change[FileState]) -> None:
        staged = posixpath.join(self.staging, self.sha256)
        found = await on.sh(self._settle_or_stage(staged))
        if found.strip() == b"in place":
            return
        if found.strip() != b"staged":
            await on.put(staged, self.source)
        answer = sanitize((await on.sh(self._place(staged))).decode(errors="replace").strip())
        if answer:
            raise StepFailed(
                answer,
                hint="it was removed, not used; mend the bundle, then run again",
                host=on.host.name,
            )

    def _settle_or_stage(self, staged: str) -> str:
        """Says what is there already; parts that nobody has gone on with for a week go."""
        folder, path = quote(self.staging), quote(self.path)
        return f"""\
{_SUM}{parent(self.path, "0755")} || exit
if [ -f {path} ] && [ ! -h {path} ] && [ "$(sum {path})" = {self.sha256} ]; then
    chown {quote(self.owner)} {path} && chmod {self.mode} {path} || exit
    echo in place
    exit
fi
[ ! -h {folder} ] || rm -f {folder}
mkdir -p {folder} && chmod 0700 {folder} && chown {quote(self.owner)} {folder} || exit
find {folder} -type f -mtime +6 -exec rm -f {{}} + || exit
[ ! -f {quote(staged)} ] || echo staged
"""

    def _place(self, staged: str) -> str:
        """From the staging folder to the path, by a name beside it; says what is wrong with it."""
        path, owner, folder = quote(self.path), quote(self.owner), posixpath.dirname(self.path)
        wrong = f"{self.source.name} is not what the bundle's list of sums says: its SHA-256 is "
        release = f"{self.source.name} is not K3s {self.release}: it says "
        check = f"""\
told=$("$tmp" --version 2>&1 | head -n 1)
case $told in
"k3s version {self.release}"[!0-9.]* | "k3s version {self.release}") ;;
*) printf '%s%s\\n' {quote(release)} "$told"; exit ;;
esac
"""
        return f"""\
{SPARE}{_SUM}staged={quote(staged)}
trap 'rm -f "$staged" "${{tmp:-}}"' EXIT
found=$(sum "$staged")
if [ "$found" != {self.sha256} ]; then printf '%s%s\\n' {quote(wrong)} "$found"; exit; fi
tmp=$(spare {quote(folder)}) || exit
if [ "$(stat -c %d "$staged")" = "$(stat -c %d "$tmp")" ]; then
    chown {owner} "$staged" && chmod {self.mode} "$staged" && mv -f "$staged" "$tmp" || exit
else
    cat "$staged" >"$tmp" && [ "$(sum "$tmp")" = {self.sha256} ] || exit
    chown {owner} "$tmp" && chmod {self.mode} "$tmp" || exit
    sync "$tmp" 2>/dev/null || sync || exit
fi
{check if self.release else ""}\
mv -f "$tmp" {path}
"""


_SUM = """\
sum() { sha256sum <"$1" | cut -d ' ' -f 1; }
"""
