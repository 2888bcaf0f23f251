"""What every headless command shares: a profile, its secrets, its recorder, its printer."""

from __future__ import annotations

import hashlib
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias, cast

import k3s_tui
from k3s_tui.core.ask import Ask
from k3s_tui.core.errors import UsageError
from k3s_tui.core.events import AnyEvent, RunDone, RunStarted
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.lock import RunIdentity, lock_profile
from k3s_tui.engine.record import Recorder
from k3s_tui.headless.ask import NoTerminal, TerminalAsk
from k3s_tui.headless.check import warn
from k3s_tui.headless.jsonl import JsonLines
from k3s_tui.headless.output import Output, complain
from k3s_tui.headless.plain import PlainPrinter, ending
from k3s_tui.headless.progress import ProgressPrinter
from k3s_tui.procedure.deployment import Deployment, Order
from k3s_tui.profile.load import Loaded, read
from k3s_tui.profile.secrets import Resolver

Printer: TypeAlias = JsonLines | PlainPrinter | ProgressPrinter


@dataclass(frozen=True)
class Options:
    """Flags that `plan`, `apply` and `verify` have in common."""

    profile: Path
    json: bool = False
    verbose: bool = False
    accept_host_keys: bool = False
    passphrase_file: Path | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Session:
    """One command on one profile.  Its recorder is the `Emit` of everything in it."""

    verb: str
    options: Options
    loaded: Loaded
    run: str
    recorder: Recorder
    redact: Redactor
    ask: Ask

    def deployment(self, *, locked: bool) -> Deployment:
        order = Order(
            profile_path=self.options.profile,
            profile=self.loaded.profile,
            identity=RunIdentity.of(self.run) if locked else None,
            accept_host_keys=self.options.accept_host_keys,
            only=self.options.only,
        )
        resolver = Resolver(
            self.options.profile, self.ask, passphrase_file=self.options.passphrase_file
        )
        return Deployment(order, resolver, self.ask, self.recorder, self.redact)


@contextmanager
def session(verb: str, options: Options, *, keep: bool) -> Iterator[Session]:
    """Load the profile and open the recorder; with `keep`, lock the profile and write it down.

    Raises UsageError, ProfileInvalid and Locked before anything is said.
    """
    if not str(options.profile).isprintable():
        raise UsageError("the profile's path has characters that cannot be shown", hint="rename it")
    loaded = read(options.profile)
    warn(loaded, options.profile)
    run = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    state = state_folder(options.profile, loaded.profile.name)
    redact = Redactor()
    recorder = Recorder(state / "runs" / run if keep else None, redact)
    printer = _printer(verb, options)
    recorder.subscribe(printer)
    if options.json:
        recorder.subscribe(_complaints)
    ask: Ask = TerminalAsk(recorder) if sys.stdin.isatty() else NoTerminal()
    try:
        with lock_profile(state / "lock") if keep else _nothing():
            recorder(
                RunStarted(
                    tool=k3s_tui.__version__,
                    run=run,
                    verb=verb,
                    profile=str(options.profile),
                    hosts=list(loaded.profile.hosts),
                )
            )
            yield Session(verb, options, loaded, run, recorder, redact, ask)
    finally:
        printer.close()
        recorder.close()


def _printer(verb: str, options: Options) -> Printer:
    from rich.console import Console

    out = Output(sys.stdout, told=verb != "plan")
    if options.json:
        return JsonLines(out.say)
    console = Console(file=cast("IO[str]", out))
    if verb != "plan" and console.is_terminal and not console.is_dumb_terminal:
        return ProgressPrinter(console, verbose=options.verbose)
    return PlainPrinter(out.say, complain=complain, verbose=options.verbose)


def _complaints(event: AnyEvent) -> None:
    """Events are for a program; why it failed is for its operator, too."""
    if isinstance(event, RunDone):
        for line in ending(event):
            complain(line)


def state_folder(profile: Path, name: str) -> Path:
    """Where a profile's runs are recorded: by its name and where it lies."""
    from platformdirs import user_state_path

    where = hashlib.sha256(str(profile.resolve()).encode()).hexdigest()[:8]
    return user_state_path("k3s-tui") / f"{name}-{where}"


@contextmanager
def _nothing() -> Iterator[None]:
    yield
