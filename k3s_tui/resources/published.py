"""What is published now: compared with what was recorded, or what a first use must get."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote

_SHA256 = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_CURL = "curl -fsSL --proto '=https' --connect-timeout 8 --max-time 20"

_NOT_INSTALLED = "it is not installed"


def _sum_of(out: bytes, url: str, listed_in: str) -> str:
    """The sum that a probe's lines give for `url`; '' when nothing came, or not all of it."""
    lines = out.decode(errors="replace").splitlines()
    if "status 0" not in lines:
        return ""
    name = _file_name(url) if listed_in else "-"
    sums = (found for found in map(_SHA256.fullmatch, lines) if found)
    return next((found[1] for found in sums if found[2] == name), "")


def _take(listed_in: str) -> str:
    """What a probe makes of what it fetched.  A list is short; whatever else came is cut."""
    return "head -c 65536" if listed_in else "sha256sum"


def _file_name(url: str) -> str:
    return posixpath.basename(unquote(url))


@dataclass(frozen=True)
class PublishedState:
    """The SHA-256 in hex of what is published now; '' when nobody can say, or need not."""

    digest: str = ""


@dataclass(frozen=True)
class PublishedSum:
    """A preflight check: the file behind `url` is the one whose `sha256` was recorded.

    Not looked at where `path` has it already.  A large file is judged by the list of sums at
    `listed_in`, as `sha256sum` writes them.  No verdict where there is no curl yet, or no answer:
    the download compares again.  `what` and `record` are words for the operator: the artifact, and
    where it is recorded.
    """

    what: str
    url: str
    path: str
    sha256: str
    record: str
    listed_in: str = ""

    def probe(self) -> Probe[PublishedState]:
        path, fetched = quote(self.path), quote(self.listed_in or self.url)
        # What was cut off must not be judged: hence the status, past the pipe.
        return Probe(
            f"""
if [ -f {path} ] && [ "$(sha256sum <{path} | cut -d ' ' -f 1)" = {self.sha256} ]; then exit; fi
command -v curl >/dev/null 2>&1 || exit
{{
    {{
        {_CURL} {fetched}
        printf '\\nstatus %s\\n' $? >&3
    }} | {_take(self.listed_in)} >&3
}} 3>&1
""",
            self._parse,
        )

    def _parse(self, out: bytes) -> PublishedState:
        return PublishedState(_sum_of(out, self.url, self.listed_in))

    def diff(self, now: PublishedState) -> Problem | None:
        if now.digest in ("", self.sha256):
            return None
        return Problem(
            f"{self.what} is published with the SHA-256 {now.digest}, and {self.sha256} is"
            f" recorded in {self.record}",
            "find out why it changed before you remove the recorded line",
        )


@dataclass(frozen=True)
class FirstSumState:
    """The SHA-256 in hex that a first use must get; '' when nobody says.

    Then `unlisted`: the source has no list of sums; or `why` there is no answer, in curl's words.
    """

    digest: str = ""
    unlisted: bool = False
    why: str = ""


@dataclass(frozen=True)
class FirstSum:
    """A preflight check: what the file behind `url` must be, of which no sum was recorded or given.

    A large file must be what the list of sums at `listed_in` says, so that what came in its place,
    or lay there before, is found out.  One without a list is what it is now.  Only a source that
    has no list at all (404) is taken at its word.  Where there is no curl yet, or no answer, the
    download asks again.
    """

    url: str
    listed_in: str = ""

    def probe(self) -> Probe[FirstSumState]:
        return Probe(self.ask, self.parse)

    @property
    def ask(self) -> str:
        fetched = quote(self.listed_in or self.url)
        code = (
            f"{_CURL.replace('-fsSL', '-sL')} -o /dev/null -w 'answer %{{http_code}}\\n' {fetched}"
        )
        return f"""
command -v curl >/dev/null 2>&1 || {{ echo 'curl: {_NOT_INSTALLED}'; exit; }}
{{
    {{
        {_CURL} {fetched} 2>&3
        status=$?
        [ $status != 22 ] || {code} >&3
        printf '\\nstatus %s\\n' $status >&3
    }} | {_take(self.listed_in)} >&3
}} 3>&1
"""

    def parse(self, out: bytes) -> FirstSumState:
        text = out.decode(errors="replace")
        lines = text.splitlines()
        digest = _sum_of(out, self.url, self.listed_in)
        if digest or "status 0" in lines:
            return FirstSumState(digest)
        said = re.search(r"curl: (.+)", text)
        why = sanitize(said[1]) if said else "no answer"
        return FirstSumState(unlisted=bool(self.listed_in) and "answer 404" in lines, why=why)

    def diff(self, now: FirstSumState) -> Problem | None:
        return None if now.why == _NOT_INSTALLED else self.missing(now)

    def missing(self, now: FirstSumState) -> Problem | None:
        """Why nobody says what the file must be; None when somebody does."""
        asked = self.listed_in or self.url
        if now.digest:
            return None
        if now.unlisted:
            return Problem(
                f"there is no list of sums at {asked}: what {self.url} gives is taken unchecked,"
                " and its SHA-256 recorded",
                "fine if you trust that server; else write the SHA-256 into the lock file",
                warning=True,
            )
        if now.why:
            return Problem(
                f"{asked} does not say what is to be downloaded: {now.why}",
                f"look at `curl -fL {asked}` on that host: it may need a route, a proxy or a CA",
                warning=True,
            )
        return Problem(
            f"what {asked} gives names no SHA-256 of {_file_name(self.url)}",
            "look at it: a proxy or a portal may have answered instead",
        )
