"""One verb on one profile, recorded: what every front end opens before it drives a deployment."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import k3s_tui
from k3s_tui.core.events import AnyEvent, RunStarted
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.lock import RunIdentity, lock_profile
from k3s_tui.engine.record import Recorder
from k3s_tui.profile.leftovers import sweep
from k3s_tui.profile.model import Profile


@dataclass(frozen=True)
class Recording:
    """`recorder` is the `Emit` of everything in it; `run` is its name, in time's order."""

    run: str
    recorder: Recorder
    redact: Redactor

    @property
    def identity(self) -> RunIdentity:
        """Who holds the locks of this run."""
        return RunIdentity.of(self.run)


@contextmanager
def recording(
    verb: str,
    path: Path,
    profile: Profile,
    readers: Sequence[Callable[[AnyEvent], None]],
    *,
    keep: bool,
) -> Iterator[Recording]:
    """Open a recorder for `verb`; with `keep`, lock the profile and write the events down.

    Raises Locked before anything is said.
    """
    run = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    redact = Redactor()
    recorder = Recorder(runs_folder(path, profile.name) / run if keep else None, redact)
    for reader in readers:
        recorder.subscribe(reader)
    try:
        lock = lock_of(path, profile.name)
        with lock_profile(lock, RunIdentity.of(run)) if keep else nullcontext():
            if keep:
                sweep(path)
            recorder(
                RunStarted(
                    tool=k3s_tui.__version__,
                    run=run,
                    verb=verb,
                    profile=str(path),
                    hosts=list(profile.hosts),
                )
            )
            yield Recording(run, recorder, redact)
    finally:
        recorder.close()


def state_folder(profile: Path, name: str) -> Path:
    """Where a profile's runs are recorded: by its name and where it lies."""
    from platformdirs import user_state_path

    where = hashlib.sha256(str(profile.resolve()).encode()).hexdigest()[:8]
    return user_state_path("k3s-tui") / f"{name}-{where}"


def lock_of(profile: Path, name: str) -> Path:
    """What a run of a profile holds on this machine while it lasts."""
    return state_folder(profile, name) / "lock"


def runs_folder(profile: Path, name: str) -> Path:
    """One folder per recorded run, named by when it began."""
    return state_folder(profile, name) / "runs"
