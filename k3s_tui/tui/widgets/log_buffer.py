"""What hosts said lately: a bounded number of lines each, in the order in which they came."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from k3s_tui.core.events import Line

PER_HOST = 5000
"""Lines of one host that are kept; all of them are in the log file."""

_ERROR = re.compile(
    r"level=(error|fatal)|(^|[\s\[])(E:|ERROR|Error|error|FATAL|fatal|panic|failed|Failed)([\s:\]]|$)"
)


class LogLine(NamedTuple):
    """`number` counts all lines from 0, `turn` those of its host."""

    number: int
    turn: int
    host: str
    text: str
    is_error: bool


class LogBuffer:
    """`lines` are in order and may hold some too many; `outdated` tells which."""

    def __init__(self, per_host: int = PER_HOST) -> None:
        self.lines: list[LogLine] = []
        self.pruned = 0
        """How often lines were taken out; whoever keeps some must do likewise."""
        self._per_host = per_host
        self._said: Counter[str] = Counter()
        self._number = 0

    def add(self, event: Line) -> None:
        """Keep what a host said; cheap enough to be called for each line."""
        turn = self._said[event.host]
        self._said[event.host] = turn + 1
        is_error = _ERROR.search(event.text) is not None
        self.lines.append(LogLine(self._number, turn, event.host, event.text, is_error))
        self._number += 1
        # In one go now and then, so that a line costs the same however many there are.
        if len(self.lines) > self.kept + max(1000, self._per_host // 2):
            self._prune()

    def outdated(self, line: LogLine) -> bool:
        """Whether its host has said so much since then that it is not kept."""
        return line.turn < self._said[line.host] - self._per_host

    def since(self, number: int) -> list[LogLine]:
        """Lines from this number on."""
        first = self.lines[0].number if self.lines else self._number
        if number <= first:
            return list(self.lines)
        if number >= self._number:
            return []
        # Numbers have gaps after pruning, but never fewer lines than numbers from the end.
        at = max(0, len(self.lines) - (self._number - number))
        while self.lines[at].number < number:
            at += 1
        return self.lines[at:]

    @property
    def total(self) -> int:
        """Lines that ever came."""
        return self._number

    @property
    def kept(self) -> int:
        """Lines that are to be shown."""
        return sum(min(said, self._per_host) for said in self._said.values())

    @property
    def hosts(self) -> list[str]:
        """Who has said something, by when they began."""
        return list(self._said)

    def _prune(self) -> None:
        self.lines = [line for line in self.lines if not self.outdated(line)]
        self.pruned += 1
