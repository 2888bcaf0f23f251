"""What became of earlier runs, as their recordings tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from k3s_tui.core.errors import Exit
from k3s_tui.core.events import AnyEvent, RunDone, RunStarted, StepDone, StepStarted
from k3s_tui.engine.lock import is_held
from k3s_tui.engine.record import EVENTS
from k3s_tui.procedure.recording import lock_of, runs_folder

_LARGEST = 64 << 20
"""Bytes of a recording that are read."""


@dataclass(frozen=True)
class Past:
    """A run that was recorded at `path`.

    `began` is seconds since the epoch; `where` the last step that was begun and did not end well,
    else the last that was begun, or ''; `exit` is None when the tool was killed, or still runs;
    `why` is what its end said of itself; `running`: it is under way now.
    """

    path: Path
    began: float
    exit: int | None
    where: str
    verb: str = ""
    why: str = ""
    running: bool = False

    @property
    def ended(self) -> bool:
        """Whether it came to its end, and there is nothing to say of it."""
        return self.exit in (Exit.OK, Exit.VERIFICATION)

    @property
    def resumable(self) -> bool:
        """Whether it has begun to change hosts, and something is left to do."""
        return bool(self.where) and self.verb != "verify" and not self.ended and not self.running


def last_run(profile: Path, name: str) -> Past | None:
    """The latest run of a profile that was written down."""
    try:
        folders = sorted(runs_folder(profile, name).iterdir())
    except (OSError, ValueError):
        return None
    for folder in reversed(folders):
        if (path := folder / EVENTS).is_file():
            past = _read(path)
            if past is not None and past.exit is None:
                past = replace(past, running=is_held(lock_of(profile, name)))
            return past
    return None


def replay(path: Path) -> Iterator[AnyEvent]:
    """The events of a recording, in turn.  A torn or foreign line is left out."""
    decoder = msgspec.json.Decoder(AnyEvent)
    with path.open("rb") as file:
        for line in file:
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue


def _read(path: Path) -> Past | None:
    past = Past(path, 0.0, None, "")
    last = ""
    open_steps: dict[str, None] = {}
    try:
        if path.stat().st_size > _LARGEST:
            return None
        for event in replay(path):
            past = past if past.began else replace(past, began=event.t)
            match event:
                case RunStarted():
                    past = replace(past, verb=event.verb)
                case StepStarted():
                    last = event.step
                    open_steps[event.step] = None
                case StepDone():
                    if event.outcome in ("ok", "changed"):
                        open_steps.pop(event.step, None)
                    elif event.outcome == "failed":
                        open_steps[event.step] = None
                case RunDone():
                    past = replace(past, exit=event.exit, why=event.error)
    except OSError:
        return None
    return replace(past, where=next(reversed(open_steps), last))
