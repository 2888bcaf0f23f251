"""What every headless command shares: a profile, its secrets, its recorder, its printer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from k3s_tui.core.ask import Ask
from k3s_tui.core.events import AnyEvent, RunDone
from k3s_tui.headless.ask import NoTerminal, TerminalAsk
from k3s_tui.headless.check import warn
from k3s_tui.headless.jsonl import JsonLines
from k3s_tui.headless.output import Output, complain
from k3s_tui.headless.plain import PlainPrinter, ending
from k3s_tui.procedure.deployment import Deployment, Order
from k3s_tui.procedure.recording import Recording, recording
from k3s_tui.profile.load import Loaded, read
from k3s_tui.profile.secrets import Resolver

if TYPE_CHECKING:
    from k3s_tui.headless.progress import ProgressPrinter

Printer: TypeAlias = "JsonLines | PlainPrinter | ProgressPrinter"


@dataclass(frozen=True)
class Options:
    """Flags that `plan`, `apply` and `verify` have in common."""

    profile: Path
    json: bool = False
    verbose: bool = False
    accept_host_keys: bool = False
    passphrase_file: Path | None = None
    only: tuple[str, ...] = ()
    allow_restart: bool = False


@dataclass(frozen=True)
class Session:
    """One command on one profile."""

    options: Options
    loaded: Loaded
    recording: Recording
    ask: Ask

    def deployment(self, *, locked: bool) -> Deployment:
        order = Order(
            profile_path=self.options.profile,
            profile=self.loaded.profile,
            identity=self.recording.identity if locked else None,
            accept_host_keys=self.options.accept_host_keys,
            only=self.options.only,
            allow_restart=self.options.allow_restart,
        )
        resolver = Resolver(
            self.options.profile, self.ask, passphrase_file=self.options.passphrase_file
        )
        recorder, redact = self.recording.recorder, self.recording.redact
        return Deployment(order, resolver, self.ask, recorder, redact)


@contextmanager
def session(verb: str, options: Options, *, keep: bool) -> Iterator[Session]:
    """Load the profile and open the recorder; with `keep`, lock the profile and write it down.

    Raises ProfileInvalid and Locked before anything is said.
    """
    loaded = read(options.profile)
    warn(loaded, options.profile)
    printer = _printer(verb, options)
    readers: list[Callable[[AnyEvent], None]] = [printer]
    if options.json:
        readers.append(_complaints)
    try:
        with recording(verb, options.profile, loaded.profile, readers, keep=keep) as current:
            ask: Ask = TerminalAsk(current.recorder) if sys.stdin.isatty() else NoTerminal()
            yield Session(options, loaded, current, ask)
    finally:
        printer.close()


def _printer(verb: str, options: Options) -> Printer:
    out = Output(sys.stdout, told=verb != "plan")
    if options.json:
        return JsonLines(out.say)
    if verb != "plan" and sys.stdout.isatty():
        # For pipes and logs, nothing of it is needed.
        from rich.console import Console

        from k3s_tui.headless.progress import ProgressPrinter

        console = Console(file=cast("IO[str]", out))
        if not console.is_dumb_terminal:
            return ProgressPrinter(console, verbose=options.verbose)
    return PlainPrinter(out.say, complain=complain, verbose=options.verbose)


def _complaints(event: AnyEvent) -> None:
    """Events are for a program; why it failed is for its operator, too."""
    if isinstance(event, RunDone):
        for line in ending(event):
            complain(line)
