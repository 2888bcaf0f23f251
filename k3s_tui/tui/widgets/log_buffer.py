"""What hosts said lately, and what of it one looks at.  No textual here."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, deque
from operator import attrgetter

import msgspec

from k3s_tui.core.events import Line
from k3s_tui.hosts.sanitize import sanitize

PER_HOST = 5000
"""Lines of one host that are kept; all of them are in the log file."""

LONGEST = 1000
"""Characters of a line that are kept: 50,000 lines of this length are still bearable."""

_TAB = 8

_SUSPECTS = ("error", "fatal", "panic", "fail", "level=")
_LEVEL = re.compile(r"\blevel=(\w+)")
_ERROR = re.compile(r"(?<!\b0 )(?<!\bno )\b(error|fatal|panic|failed|failure)(?![-\w./=])")
_MARKED = re.compile(r"E: |[EF]\d{4} \d\d:\d\d:\d\d")
"""apt's errors, and those of Kubernetes."""


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """`number` counts all lines from 0.

    Python's collector of cycles, which stops everything, would look at each of them in vain.
    """

    number: int
    host: str
    text: str
    is_error: bool


_NUMBER = attrgetter("number")


class LogBuffer:
    """A bounded number of lines of each host, in the order in which they came.

    Thread-free.  A line costs the same however many there are: those that are too old are taken
    out many at a time, so that up to an eighth more may be held for a while.
    """

    def __init__(self, per_host: int = PER_HOST) -> None:
        self.pruned = 0
        """How often lines were taken out; whoever holds some must do likewise, by `keep`."""
        self._per_host = per_host
        self._lines: list[LogLine] = []
        self._kept_of: dict[str, deque[int]] = {}
        """Numbers of the lines that are not too old."""
        self._said: Counter[str] = Counter()
        self._number = 0
        self._kept = 0

    def add(self, event: Line) -> None:
        """Keep what a host said."""
        kept = self._kept_of.get(event.host)
        if kept is None:
            kept = self._kept_of[event.host] = deque(maxlen=self._per_host)
        self._kept += len(kept) < self._per_host
        kept.append(self._number)
        self._said[event.host] += 1
        text = _shown(event.text)
        self._lines.append(LogLine(self._number, event.host, text, is_error(text)))
        self._number += 1
        if len(self._lines) > self._kept + max(1000, self._kept // 8):
            self._lines = self.keep(self._lines)
            self.pruned += 1

    def keep(self, lines: list[LogLine]) -> list[LogLine]:
        """Those of them that are not too old."""
        oldest = {host: numbers[0] for host, numbers in self._kept_of.items()}
        return [line for line in lines if line.number >= oldest[line.host]]

    def since(self, number: int) -> list[LogLine]:
        """What is kept of the lines from this number on."""
        return self.keep(self._lines[index(self._lines, number) :])

    @property
    def total(self) -> int:
        """Lines that ever came."""
        return self._number

    @property
    def kept(self) -> int:
        """Lines that are not too old."""
        return self._kept

    def dropped(self, host: str = "") -> int:
        """Lines that only the log file has, of one host or of all."""
        if host:
            return self._said[host] - len(self._kept_of.get(host, ()))
        return self._number - self._kept

    @property
    def hosts(self) -> list[str]:
        """Who has said something, by when they began."""
        return list(self._said)


class Excerpt:
    """What of a buffer one looks at: `lines`, and among them `hits` and `errors`."""

    def __init__(self, buffer: LogBuffer) -> None:
        self.buffer = buffer
        self.host = ""
        self.only_errors = False
        self.needle = ""
        self.lines: list[LogLine] = []
        self.hits: list[LogLine] = []
        self.errors: list[LogLine] = []
        self._pattern: re.Pattern[str] | None = None
        self._taken = 0
        self._pruned = 0

    def take(self) -> list[LogLine]:
        """Leave out what is too old and take over what is new; returns the new ones."""
        if self._pruned != self.buffer.pruned:
            self._pruned = self.buffer.pruned
            keep = self.buffer.keep
            self.lines, self.hits, self.errors = map(keep, (self.lines, self.hits, self.errors))
        if self._taken == self.buffer.total:
            return []
        new = self._wanted(self.buffer.since(self._taken))
        self._taken = self.buffer.total
        self.lines += new
        self.errors += [line for line in new if line.is_error]
        self.hits += self._found(new)
        return new

    def show(self, host: str, *, only_errors: bool) -> None:
        """One host (all with ''), or only what looks like an error."""
        self.host, self.only_errors = host, only_errors
        self.lines, self.hits, self.errors = [], [], []
        self._taken = 0
        self.take()

    def search(self, needle: str) -> None:
        """Find this text from now on, in whatever case; '' finds nothing."""
        self.needle = needle
        self._pattern = re.compile(re.escape(needle), re.IGNORECASE) if needle else None
        self.hits = self._found(self.lines)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the text that is looked for stands in this one."""
        return [match.span() for match in self._pattern.finditer(text)] if self._pattern else []

    def _wanted(self, lines: list[LogLine]) -> list[LogLine]:
        if self.host:
            lines = [line for line in lines if line.host == self.host]
        if self.only_errors:
            lines = [line for line in lines if line.is_error]
        return lines

    def _found(self, lines: list[LogLine]) -> list[LogLine]:
        if self._pattern is None:
            return []
        search = self._pattern.search
        return [line for line in lines if search(line.text)]


def index(lines: list[LogLine], number: int) -> int:
    """Where the line with this number is or, when it is gone, the next one."""
    return bisect_left(lines, number, key=_NUMBER)


def neighbour(lines: list[LogLine], number: int, step: int) -> LogLine | None:
    """The next line after this number (`step` 1) or before it (-1), round the end."""
    if not lines:
        return None
    at = index(lines, number + 1) if step > 0 else index(lines, number) - 1
    return lines[at % len(lines)]


def is_error(text: str) -> bool:
    """Whether a line is worth stopping at.  A level that it states itself is believed."""
    if _MARKED.match(text):
        return True
    lower = text.lower()
    # A few searches for words take a tenth of one for a pattern, and most lines have none.
    if not any(word in lower for word in _SUSPECTS):
        return False
    level = _LEVEL.search(lower)
    if level is not None:
        return level[1] in ("error", "fatal", "panic")
    return _ERROR.search(lower) is not None


def _shown(text: str) -> str:
    """One line of a bounded length, in which every character takes the cells it seems to take."""
    more = len(text) - LONGEST
    text = text[:LONGEST]
    if not text.isprintable():
        text = sanitize(text.expandtabs(_TAB))[:LONGEST]
    elif not text.isascii():
        # Where it was encoded, it holds the bytes as well: a third more memory for the same.
        text = text[:1] + text[1:]
    return f"{text}… ({more} more)" if more > 0 else text
