from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest

from k3s_tui.core import events
from k3s_tui.core.events import AnyEvent
from k3s_tui.headless.plain import PlainPrinter, duration
from tests.unit.headless.recorded import HOSTILE, PLAN, RUN


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def told(recorded: Sequence[AnyEvent], *, verbose: bool = False) -> str:
    lines: list[str] = []
    printer = PlainPrinter(lines.append, verbose=verbose)
    for event in recorded:
        printer(event)
    printer.close()
    return "\n".join(lines)


def test_a_plan_that_is_refused() -> None:
    done = events.RunDone(exit=5, error="nothing was changed: PostgreSQL 12", hint="upgrade it")
    assert told([*PLAN, done]) == (
        """\
  warning  k3s-server-1/preflight/identity: it has the same machine-id as nginx
           try: systemd-machine-id-setup
  change   k3s-server-1/servers/hosts-entry: write the k3s-tui block in /etc/hosts
           --- /etc/hosts
           +++ /etc/hosts
           +10.0.0.9 postgres.internal
  later    k3s-server-1/servers/ready: known after k3s-server-1/servers/k3s
  STOP     postgres/preflight/postgresql: PostgreSQL 12 is older than 13
           try: upgrade it
error: nothing was changed: PostgreSQL 12
try: upgrade it"""
    )


def test_a_change_tells_what_it_does_and_what_it_does_to_others() -> None:
    change = events.Planned(
        step="postgres/datastore/role",
        host="postgres",
        verdict="change",
        summary="set its password",
        diff="+ it",
        warning="servers lack it",
        hint="wait",
    )
    assert told([change]) == (
        """\
  change   postgres/datastore/role: set its password
           + it
           warning: servers lack it
           try: wait"""
    )


def test_a_plan_tells_intentions_and_not_deeds() -> None:
    done = events.RunDone(exit=0, ok=31, changed=4, skipped=2)
    last = told([PLAN[0], done])
    assert last == "31 as wanted, 4 to change, 2 known when others are done"
    assert "as wanted" in told([PLAN[4]], verbose=True)
    assert told([PLAN[4]]) == ""


def test_a_run_that_fails() -> None:
    assert told(RUN) == (
        """\
22:13:20 k3s-server-1/servers/hosts-entry ...
22:13:21 k3s-server-1/servers/hosts-entry changed (0.3 s): write the k3s-tui block in /etc/hosts
22:13:21 k3s-server-1/servers/ready ...
22:13:21 k3s-server-1/servers/ready waits: it has not registered
22:13:25 k3s-server-1/servers/ready waits: it is not Ready (cni)
22:14:26 k3s-server-1/servers/ready still waits: it is not Ready (cni)
k3s-server-1: lost
k3s-server-1: connected again
22:14:30 k3s-server-1/servers/ready ok (1 min 09 s): as wanted
22:14:30 postgres/datastore/access ...
22:14:42 postgres/datastore/access failed (12 s): line 3: invalid authentication method
    | one
    | [/] [@click=app.bell]x[/] [bold red]
           try: look at pg_hba.conf
22:14:42 k3s-server-1/servers/k3s skipped: needs postgres/datastore/access
2 as wanted, 1 changed, 1 failed, 1 not done
error: failed: postgres/datastore/access
try: run again to resume: k3s-tui apply how-to.toml"""
    )


def test_lines_of_hosts_are_for_those_who_ask() -> None:
    assert f"22:13:20 k3s-server-1/servers/hosts-entry | {HOSTILE}" in told(RUN, verbose=True)
    assert "preflight/memory ok: as wanted" in told(RUN, verbose=True)


def test_a_host_that_is_lost_for_a_while() -> None:
    refused = events.HostState(host="nginx", state="failed", detail="nginx: connection refused")
    timed_out = events.HostState(host="nginx", state="failed", detail="nginx: no answer")
    lost = events.HostState(host="nginx", state="lost")
    again = events.HostState(host="nginx", state="connected")
    assert told([lost, refused, refused, timed_out, again, again]) == (
        "nginx: lost\n"
        "nginx: still lost: connection refused\n"
        "nginx: still lost: no answer\n"
        "nginx: connected again"
    )


def test_a_host_that_is_not_reached_at_all_is_told_by_the_end() -> None:
    failed = events.HostState(host="nginx", state="failed", detail="nginx: connection refused")
    done = events.RunDone(exit=5, error="nginx: connection refused")
    assert told([failed, done]) == "error: nginx: connection refused"


def test_errors_of_many_hosts_are_lines_of_one_column() -> None:
    done = events.RunDone(exit=5, error="nginx: refused\npostgres: no route", hint="a\nb")
    assert told([done]) == "error: nginx: refused\n       postgres: no route\ntry: a\ntry: b"


def test_an_interruption_is_no_error() -> None:
    assert told([events.RunDone(exit=130, error="stopped")]) == "interrupted: stopped"


def test_a_warning_that_came_during_the_run() -> None:
    done = events.StepDone(
        step="a/b/c", host="a", outcome="ok", warning="it is old", hint="renew it", t=0.0
    )
    assert told([done]) == "00:00:00 a/b/c ok: warning: it is old\n           try: renew it"


def test_failures_go_where_the_operator_looks() -> None:
    said: list[str] = []
    complained: list[str] = []
    printer = PlainPrinter(said.append, complain=complained.append)
    for event in RUN:
        printer(event)
    assert complained == [
        "error: failed: postgres/datastore/access",
        "try: run again to resume: k3s-tui apply how-to.toml",
    ]
    assert said[-1] == "2 as wanted, 1 changed, 1 failed, 1 not done"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (12.3, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (119.7, "2 min 00 s"),
        (185.0, "3 min 05 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
