"""What would be downloaded, compared with what was recorded, before anything is touched."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.script import quote

_SHA256 = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class PublishedState:
    """The SHA-256 in hex of what is published now; '' when nobody can say, or need not."""

    digest: str = ""


@dataclass(frozen=True)
class PublishedSum:
    """A preflight check: the file behind `url` is the one whose `sha256` was recorded, if it was.

    Not looked at where `path` has it already.  A large file is judged by the list of sums at
    `listed_in`, as `sha256sum` writes them.  No verdict where there is no curl yet, or no answer:
    the download compares again.  `what` and `record` are words for the operator: the artifact, and
    where it is recorded.
    """

    what: str
    url: str
    path: str
    sha256: str | None
    record: str
    listed_in: str = ""

    def probe(self) -> Probe[PublishedState]:
        if self.sha256 is None:
            return Probe(":", self._parse)
        path, fetched = quote(self.path), quote(self.listed_in or self.url)
        # What was cut off must not be judged: hence the status, past the pipe.
        take = "head -c 65536" if self.listed_in else "sha256sum"
        return Probe(
            f"""
if [ -f {path} ] && [ "$(sha256sum <{path} | cut -d ' ' -f 1)" = {self.sha256} ]; then exit; fi
command -v curl >/dev/null 2>&1 || exit
{{
    {{
        curl -fsSL --proto '=https' --connect-timeout 8 --max-time 20 {fetched}
        echo "status $?" >&3
    }} | {take} >&3
}} 3>&1
""",
            self._parse,
        )

    def _parse(self, out: bytes) -> PublishedState:
        lines = out.decode(errors="replace").splitlines()
        if "status 0" not in lines:
            return PublishedState()
        name = posixpath.basename(unquote(self.url)) if self.listed_in else "-"
        sums = (found for found in map(_SHA256.fullmatch, lines) if found)
        return PublishedState(next((found[1] for found in sums if found[2] == name), ""))

    def diff(self, now: PublishedState) -> Problem | None:
        if self.sha256 is None or now.digest in ("", self.sha256):
            return None
        return Problem(
            f"{self.what} is published with the SHA-256 {now.digest}, and {self.sha256} is"
            f" recorded in {self.record}",
            "find out why it changed before you remove the recorded line",
        )
