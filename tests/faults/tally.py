"""What the faults of a test session came to: a table, printed and kept."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from k3s_tui import __version__
from tests.lab import paths, releases

FULL = os.environ.get("K3S_TUI_FAULTS") == "full"
"""Whether this is ``make faults``, rather than the slice of ``make test``."""

_REPOSITORY = Path(__file__).resolve().parents[2]
REPORT = _REPOSITORY / "docs" / "reference" / "faults.md"
README = _REPOSITORY / "README.md"
SECURITY = _REPOSITORY / "SECURITY.md"
BEGIN, END = "<!-- faults: written by make faults -->", "<!-- end of faults -->"


def amount(slice: int, full: int) -> int:
    """How many faults to inject: `slice` in ``make test``, `full` in ``make faults``."""
    return full if FULL else slice


@dataclass
class Row:
    """One kind of fault. A test counts each as it happens, `survived` after its last look."""

    promise: str
    fault: str
    injected: int = 0
    survived: int = 0
    lost: int = 0
    """Pieces of data that were there before and not, or not whole, afterwards."""
    canaries: int = 0
    """Secrets found where none may be."""
    note: str = ""
    """A measured figure worth keeping, such as the longest gap."""
    on: str = field(default_factory=lambda: str(datetime.datetime.now(datetime.UTC).date()))
    """The day of it."""

    def cells(self) -> tuple[str, ...]:
        numbers = (self.injected, self.survived, self.lost, self.canaries)
        return (self.promise, self.fault, *map(str, numbers), self.on, self.note)

    @classmethod
    def of(cls, line: str) -> Row:
        """The row that a table's line came from."""
        promise, fault, *numbers, on, note = (cell.strip() for cell in line.split("|")[1:-1])
        injected, survived, lost, canaries = map(int, numbers)
        return cls(promise, fault, injected, survived, lost, canaries, note, on)


NO_HOSTS = "no hosts with K3s"
HEADINGS = ("", "fault", "injected", "survived", "lost data", "canaries found", "on", "seen")


class Tally:
    """The rows of a session, in the order of their promises."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}

    def __call__(self, promise: str, fault: str) -> Row:
        """The row of a kind of fault, such as ``tally("P1", "kill -9 after an event")``."""
        return self._rows.setdefault((promise, fault), Row(promise, fault))

    def add(self, more: Row) -> None:
        """Count what another process has counted."""
        row = self(more.promise, more.fault)
        row.injected += more.injected
        row.survived += more.survived
        row.lost += more.lost
        row.canaries += more.canaries
        row.note = "; ".join(filter(None, dict.fromkeys((row.note, more.note))))

    def keep(self, former: Row) -> None:
        """Take a row of an earlier session, if this one has none like it."""
        self._rows.setdefault((former.promise, former.fault), former)

    @property
    def rows(self) -> list[Row]:
        return sorted(self._rows.values(), key=lambda row: int(row.promise[1:]))

    def table(self) -> str:
        """The rows as a Markdown table that is also legible as plain text; ends with a newline."""
        return _table([HEADINGS, *(row.cells() for row in self.rows)])

    def by_promise(self) -> str:
        """As `table`, a line for each promise, with its words and tests as SECURITY.md has them."""
        words = promises(SECURITY.read_text())
        sums: dict[str, list[int]] = {}
        for row in self.rows:
            numbers = (row.injected, row.survived, row.lost, row.canaries)
            sums[row.promise] = [
                *map(sum, zip(sums.get(row.promise, [0] * 4), numbers, strict=True))
            ]
        headings = ("", "promise", "tests", *HEADINGS[2:6])
        lines = ((name, *words[name], *map(str, sums[name])) for name in sums)
        return _table([headings, *lines])


def promises(page: str) -> dict[str, tuple[str, str]]:
    """What SECURITY.md promises, and the links to the tests of each, by the promise's number."""
    found = {}
    for number, words, tests in re.findall(r"^\| (P\d+) \| (.+?) \| (.+) \|$", page, re.MULTILINE):
        links = re.findall(r"\[[^]]+\]\([^)]+\)", tests)
        found[number] = (words, ", ".join(links))
    return found


def _table(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)).rstrip() + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


SESSION = Tally()
"""Of this process; those that tests are spread over hand theirs on (tests/conftest.py)."""


def write(tally: Tally, *, whole: bool) -> None:
    """Put the results into docs/reference/faults.md and, in short, into the README.

    Rows that are not of this session stay, with their day, unless it was a whole `make faults`.
    """
    k3s = _of_k3s()
    if not whole and REPORT.exists():
        former = REPORT.read_text()
        for line in former.splitlines():
            if line.startswith("| P"):
                tally.keep(Row.of(line))
        # A session without hosts leaves the rows of those that had some.
        if k3s == NO_HOSTS and (found := re.search(r"cores; (.+)\.$", former, re.MULTILINE)):
            k3s = found[1]
    about = (
        f"k3s-tui {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores; {k3s}"
    )
    REPORT.write_text(
        "# Faults\n\n"
        "What `make faults` has injected at last, and what came of it. Written by it, when all of\n"
        "its tests have passed; the promises P1 to P15 are those of\n"
        f"[SECURITY.md](../../SECURITY.md).\n\n{about}.\n\n{tally.table()}"
    )
    README.write_text(inserted(README.read_text(), f"{tally.by_promise()}"))


def _of_k3s() -> str:
    """What the lab's hosts ran."""
    if not (paths.RELEASES / "version").exists():
        return NO_HOSTS
    kind = "K3s itself" if releases.offers_real_k3s() else "the stand-in for K3s (tests/lab)"
    return f"{kind}, version {releases.offered_version()}"


def inserted(page: str, text: str) -> str:
    """The page with `text` between its two marks.  Raises ValueError without them."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{text}{END}{after}"
