"""What a resource could not mend is told before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from k3s_tui.core.contract import Change, Check, Probe, Problem, S


@dataclass(frozen=True)
class Unmendable(Generic[S]):
    """A preflight check: the problems of `check`, and none of the changes that it would make.

    The step that makes them needs others first, so a problem of its own is one in the middle of a
    run; this one refuses it.
    """

    check: Check[S]

    def probe(self) -> Probe[S]:
        return self.check.probe()

    def diff(self, now: S) -> Change[S] | Problem | None:
        found = self.check.diff(now)
        return found if isinstance(found, Problem) else None
