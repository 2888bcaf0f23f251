"""What became of earlier runs, as their recordings tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from k3s_tui.core.errors import Exit
from k3s_tui.core.events import AnyEvent, RunDone, StepDone, StepStarted
from k3s_tui.engine.record import EVENTS
from k3s_tui.procedure.recording import runs_folder

_LARGEST = 64 << 20
"""Bytes of a recording that are read."""


@dataclass(frozen=True)
class Past:
    """A run that was recorded at `path`.

    `began` is seconds since the epoch; `where` the last step that was begun and did not end well,
    or ''; `exit` is None when the tool was killed, or still runs.
    """

    path: Path
    began: float
    exit: int | None
    where: str

    @property
    def ended(self) -> bool:
        """Whether there is nothing to resume."""
        return self.exit in (Exit.OK, Exit.VERIFICATION)


def last_run(profile: Path, name: str) -> Past | None:
    """The latest run of a profile that was written down."""
    try:
        folders = sorted(runs_folder(profile, name).iterdir())
    except (OSError, ValueError):
        return None
    for folder in reversed(folders):
        if (path := folder / EVENTS).is_file():
            return _read(path)
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
    began, ended = 0.0, None
    open_steps: dict[str, None] = {}
    try:
        if path.stat().st_size > _LARGEST:
            return None
        for event in replay(path):
            began = began or event.t
            match event:
                case StepStarted():
                    open_steps[event.step] = None
                case StepDone():
                    if event.outcome in ("ok", "changed"):
                        open_steps.pop(event.step, None)
                    elif event.outcome == "failed":
                        open_steps[event.step] = None
                case RunDone():
                    ended = event.exit
    except OSError:
        return None
    return Past(path, began, ended, next(reversed(open_steps), ""))
