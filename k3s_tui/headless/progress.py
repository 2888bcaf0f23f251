"""Progress on a terminal: one line per host, and above it what the plain printer says."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from k3s_tui.core import events
from k3s_tui.core.events import AnyEvent
from k3s_tui.headless.plain import PlainPrinter, duration


class _HostLine:
    """What one host is doing."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.doing: dict[str, float] = {}
        self.waits: dict[str, str] = {}
        self.failed = 0


class ProgressPrinter:
    """Text from hosts goes to rich as `Text`, never as markup, which `[/` in it would break."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self._console = console
        self._plain = PlainPrinter(self._say, verbose=verbose)
        self._hosts: dict[str, _HostLine] = {}
        self._counted: set[str] = set()
        self._live: Live | None = None

    def __call__(self, event: AnyEvent) -> None:
        self._fold(event)
        if not isinstance(event, events.StepStarted):  # its line below is enough
            self._plain(event)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def _fold(self, event: AnyEvent) -> None:
        match event:
            case events.RunStarted():
                self._hosts = {host: _HostLine() for host in event.hosts}
            case events.Planned():
                self._count(event)
            case events.StepStarted():
                self._count(event)
                self._line(event.host).doing[event.step] = event.t
                self._show()
            case events.Waiting():
                self._line(event.host).waits[event.step] = event.condition
            case events.StepDone():
                self._count(event)
                line = self._line(event.host)
                line.done += 1
                line.doing.pop(event.step, None)
                line.waits.pop(event.step, None)
                line.failed += event.outcome == "failed"
            case events.RunDone():
                self.close()

    def _count(self, event: events.Planned | events.StepStarted | events.StepDone) -> None:
        """The final verification's steps are in no plan."""
        if event.step not in self._counted:
            self._counted.add(event.step)
            self._line(event.host).total += 1

    def _line(self, host: str) -> _HostLine:
        return self._hosts.setdefault(host, _HostLine())

    def _show(self) -> None:
        if self._live is None:
            self._live = Live(
                get_renderable=self._table,
                console=self._console,
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for host, line in self._hosts.items():
            table.add_row(Text(host), Text(f"{line.done}/{line.total}"), Text(self._doing(line)))
        return table

    def _doing(self, line: _HostLine) -> str:
        failed = [f"{line.failed} failed"] if line.failed else []
        if line.doing:
            doing = [self._step(step, since, line) for step, since in _first(line.doing)]
            return ", ".join(failed + doing)
        if failed:
            return failed[0]
        return "done" if line.total and line.done == line.total else "-"

    def _step(self, step: str, since: float, line: _HostLine) -> str:
        what = step.partition("/")[2]
        waits = f": waits, {line.waits[step]}" if step in line.waits else ""
        return f"{what} {duration(max(0.0, time.time() - since))}{waits}"


def _first(doing: dict[str, float]) -> Iterable[tuple[str, float]]:
    return list(doing.items())[:2]
