"""Plain text: a line when something happened.  For logs, pipes and people without colour."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from k3s_tui.core import events
from k3s_tui.core.errors import Exit
from k3s_tui.core.events import AnyEvent

Say: TypeAlias = Callable[[str], None]

VERDICTS = {"ok": "ok", "change": "change", "later": "later", "problem": "STOP"}
"""Words, never colour alone."""


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"


def indented(text: str, by: str) -> str:
    return "\n".join(by + line for line in text.splitlines())


class PlainPrinter:
    """A fold over the events of a run; `say` gets whole lines.

    Steps that are as wanted are counted and not told: what an operator reads at night is what
    changes, what waits and what failed.
    """

    def __init__(self, say: Say, *, verbose: bool = False) -> None:
        self._say = say
        self._verbose = verbose
        self._as_wanted = 0
        self._planned = 0

    def close(self) -> None:
        """Nothing is held back."""

    def __call__(self, event: AnyEvent) -> None:
        match event:
            case events.HostState(state="lost" | "failed"):
                self._say(f"{event.host}: {event.state} {event.detail}".rstrip())
            case events.Planned():
                self._plan(event)
            case events.StepStarted():
                self._say(f"{_clock(event.t)} {event.step} ...")
            case events.Waiting():
                seen = f" ({event.seen})" if event.seen else ""
                self._say(f"{_clock(event.t)} {event.step} waits: {event.condition}{seen}")
            case events.Line() if self._verbose:
                self._say(f"{_clock(event.t)} {event.step} | {event.text}")
            case events.StepDone(outcome="ok") if not self._verbose:
                pass
            case events.StepDone():
                self._done(event)
            case events.RunDone():
                self._end(event)

    def _plan(self, event: events.Planned) -> None:
        self._planned += 1
        if event.warning:
            self._say(f"  warning  {event.step}: {event.warning}")
            self._hint(event.hint)
        elif event.verdict != "ok" or self._verbose:
            self._say(
                f"  {VERDICTS[event.verdict]:<8} {event.step}: {event.summary or 'as wanted'}"
            )
            if event.diff:
                self._say(indented(event.diff, "           "))
            self._hint(event.hint)

    def _done(self, event: events.StepDone) -> None:
        took = f" ({duration(event.seconds)})" if event.seconds >= 0.05 else ""
        self._say(f"{_clock(event.t)} {event.step} {event.outcome}{took}: {_what(event)}")
        if event.outcome == "failed":
            if event.tail and event.tail.strip() != event.error.strip():
                self._say(indented(event.tail, "    | "))
            self._hint(event.hint)

    def _hint(self, hint: str) -> None:
        if hint:
            self._say(f"           try: {hint}")

    def _end(self, event: events.RunDone) -> None:
        if event.ok or event.changed or event.failed or event.skipped:
            self._say(
                f"{event.ok} as wanted, {event.changed} changed, "
                f"{event.failed} failed, {event.skipped} not done"
            )
        if event.error:
            self._say(
                f"{'interrupted' if event.exit == Exit.INTERRUPTED else 'error'}: {event.error}"
            )
        self._hint(event.hint)


def _what(event: events.StepDone) -> str:
    return event.error or event.summary or "as wanted"


def _clock(t: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(t))
