"""Plain text: a line when something happened.  For logs, pipes and people without colour."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from k3s_tui.core import events
from k3s_tui.core.errors import Exit
from k3s_tui.core.events import AnyEvent

Say: TypeAlias = Callable[[str], None]

VERDICTS = {"ok": "ok", "change": "change", "later": "later", "problem": "STOP"}
"""Words, never colour alone."""

_STILL_WAITING = 60.0
"""Seconds after which a wait that has not changed is told again."""


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def indented(text: str, by: str) -> str:
    return "\n".join(by + line for line in text.splitlines())


def ending(event: events.RunDone) -> Iterator[str]:
    """Why a run ended as it did, and what to do; nothing when all is well."""
    if event.error:
        kind = "interrupted" if event.exit == Exit.INTERRUPTED else "error"
        first, *others = event.error.splitlines()
        yield f"{kind}: {first}"
        yield from (f"{' ' * len(kind)}  {other}" for other in others)
    for hint in event.hint.splitlines():
        yield f"try: {hint}"


class PlainPrinter:
    """A fold over the events of a run; `say` gets whole lines, `complain` those of its failure.

    Steps that are as wanted are counted and not told: what an operator reads at night is what
    changes, what waits and what failed.
    """

    def __init__(self, say: Say, *, complain: Say | None = None, verbose: bool = False) -> None:
        self._say = say
        self._complain = complain or say
        self._verbose = verbose
        self._verb = ""
        self._lost: dict[str, str] = {}
        self._begun: set[str] = set()
        self._waits: dict[str, events.Waiting] = {}

    def close(self) -> None:
        """Nothing is held back."""

    def __call__(self, event: AnyEvent) -> None:
        match event:
            case events.RunStarted():
                self._verb = event.verb
            case events.HostState():
                self._host(event)
            case events.Planned():
                self._plan(event)
            case events.StepStarted():
                self._begun.add(event.step)
                self._say(f"{_clock(event.t)} {event.step} ...")
            case events.Waiting():
                self._wait(event)
            case events.Line() if self._verbose:
                self._say(f"{_clock(event.t)} {event.step} | {event.text}")
            case events.StepDone():
                self._done(event)
            case events.RunDone():
                self._end(event)

    def _host(self, event: events.HostState) -> None:
        """A first connection that fails is told by the end of the run: only with it all ends."""
        match event.state:
            case "lost":
                self._lost[event.host] = ""
                self._say(f"{event.host}: lost{event.detail and ': ' + event.detail}")
            case "failed" if self._lost.get(event.host) not in (None, event.detail):
                self._lost[event.host] = event.detail
                detail = event.detail.removeprefix(f"{event.host}: ")
                self._say(f"{event.host}: still lost: {detail}")
            case "connected" if event.host in self._lost:
                self._say(f"{event.host}: connected again")
                del self._lost[event.host]

    def _wait(self, event: events.Waiting) -> None:
        """Said when it is another wait, and now and then: silence looks like a hang."""
        before = self._waits.get(event.step)
        same = before and (before.condition, before.seen) == (event.condition, event.seen)
        if before and same and event.t - before.t < _STILL_WAITING:
            return
        self._waits[event.step] = event
        seen = f" ({event.seen})" if event.seen else ""
        verb = "still waits" if same else "waits"
        self._say(f"{_clock(event.t)} {event.step} {verb}: {event.condition}{seen}")

    def _plan(self, event: events.Planned) -> None:
        if event.warning and event.verdict == "ok":
            self._say(f"  warning  {event.step}: {event.warning}")
            self._hint(event.hint)
        elif event.verdict != "ok" or self._verbose:
            self._say(
                f"  {VERDICTS[event.verdict]:<8} {event.step}: {event.summary or 'as wanted'}"
            )
            if event.diff:
                self._say(indented(event.diff, "           "))
            if event.warning:
                self._say(f"           warning: {event.warning}")
            self._hint(event.hint)

    def _done(self, event: events.StepDone) -> None:
        unheard = event.outcome == "ok" and not event.warning and event.step not in self._begun
        if unheard and not self._verbose:
            return
        took = f" ({duration(event.seconds)})" if event.seconds >= 0.05 else ""
        self._say(f"{_clock(event.t)} {event.step} {event.outcome}{took}: {_what(event)}")
        if event.warning:
            self._hint(event.hint)
        if event.outcome == "failed":
            if event.tail and event.tail.strip() != event.error.strip():
                self._say(indented(event.tail, "    | "))
            self._hint(event.hint)

    def _hint(self, hint: str) -> None:
        if hint:
            self._say(f"           try: {hint}")

    def _end(self, event: events.RunDone) -> None:
        if event.ok or event.changed or event.failed or event.skipped:
            self._say(self._numbers(event))
        for line in ending(event):
            self._complain(line)

    def _numbers(self, event: events.RunDone) -> str:
        if self._verb == "plan":  # nothing was changed: these are intentions
            return (
                f"{event.ok} as wanted, {event.changed} to change, "
                f"{event.skipped} known when others are done"
            )
        return (
            f"{event.ok} as wanted, {event.changed} changed, "
            f"{event.failed} failed, {event.skipped} not done"
        )


def _what(event: events.StepDone) -> str:
    warning = f"warning: {event.warning}" if event.warning else ""
    return event.error or warning or event.summary or "as wanted"


def _clock(t: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(t))
