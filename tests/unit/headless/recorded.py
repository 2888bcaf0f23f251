"""A run as it may be recorded: every type of event, and what goes wrong at night."""

from __future__ import annotations

from k3s_tui.core import events
from k3s_tui.core.events import AnyEvent

SERVER, DATASTORE = "k3s-server-1", "postgres"
HOSTILE = "[/] [@click=app.bell]x[/] [bold red]"
"""What rich and Textual would take for markup, from a host."""

PLAN: list[AnyEvent] = [
    events.RunStarted(
        tool="0.1.0", run="r", verb="plan", profile="how-to.toml", hosts=[SERVER, DATASTORE]
    ),
    events.HostState(host=SERVER, state="connecting"),
    events.HostState(host=SERVER, state="connected"),
    events.Planned(
        step=f"{SERVER}/preflight/identity",
        host=SERVER,
        verdict="ok",
        warning="it has the same machine-id as nginx",
        hint="systemd-machine-id-setup",
    ),
    events.Planned(step=f"{SERVER}/preflight/memory", host=SERVER, verdict="ok"),
    events.Planned(
        step=f"{SERVER}/servers/hosts-entry",
        host=SERVER,
        verdict="change",
        summary="write the k3s-tui block in /etc/hosts",
        diff="--- /etc/hosts\n+++ /etc/hosts\n+10.0.0.9 postgres.internal\n",
    ),
    events.Planned(
        step=f"{SERVER}/servers/ready",
        host=SERVER,
        verdict="later",
        summary="known after k3s-server-1/servers/k3s",
    ),
    events.Planned(
        step=f"{DATASTORE}/preflight/postgresql",
        host=DATASTORE,
        verdict="problem",
        summary="PostgreSQL 12 is older than 13",
        hint="upgrade it",
    ),
]

T = 1_700_000_000.0
"""22:13:20 UTC."""

RUN: list[AnyEvent] = [
    events.RunStarted(
        tool="0.1.0", run="r", verb="apply", profile="how-to.toml", hosts=[SERVER, DATASTORE]
    ),
    events.Asked(question="2 steps may change these hosts. Go on?", kind="confirm"),
    events.Answered(question="2 steps may change these hosts. Go on?", given=True),
    events.StepDone(step=f"{SERVER}/preflight/memory", host=SERVER, outcome="ok", t=T),
    events.StepStarted(step=f"{SERVER}/servers/hosts-entry", host=SERVER, t=T),
    events.Line(step=f"{SERVER}/servers/hosts-entry", host=SERVER, text=HOSTILE, t=T),
    events.StepDone(
        step=f"{SERVER}/servers/hosts-entry",
        host=SERVER,
        outcome="changed",
        seconds=0.31,
        summary="write the k3s-tui block in /etc/hosts",
        t=T + 1,
    ),
    events.StepStarted(step=f"{SERVER}/servers/ready", host=SERVER, t=T + 1),
    events.Waiting(
        step=f"{SERVER}/servers/ready", host=SERVER, condition="it has not registered", t=T + 1
    ),
    events.Waiting(
        step=f"{SERVER}/servers/ready", host=SERVER, condition="it has not registered", t=T + 3
    ),
    events.Waiting(
        step=f"{SERVER}/servers/ready",
        host=SERVER,
        condition="it is not Ready",
        seen="cni",
        t=T + 5,
    ),
    events.Waiting(
        step=f"{SERVER}/servers/ready",
        host=SERVER,
        condition="it is not Ready",
        seen="cni",
        t=T + 66,
    ),
    events.HostState(host=SERVER, state="lost", t=T + 67),
    events.HostState(host=SERVER, state="connecting", t=T + 68),
    events.HostState(host=SERVER, state="connected", t=T + 69),
    events.StepDone(
        step=f"{SERVER}/servers/ready", host=SERVER, outcome="ok", seconds=69.4, t=T + 70
    ),
    events.StepStarted(step=f"{DATASTORE}/datastore/access", host=DATASTORE, t=T + 70),
    events.StepDone(
        step=f"{DATASTORE}/datastore/access",
        host=DATASTORE,
        outcome="failed",
        seconds=12.3,
        error="line 3: invalid authentication method",
        hint="look at pg_hba.conf",
        tail=f"one\n{HOSTILE}",
        t=T + 82,
    ),
    events.StepDone(
        step=f"{SERVER}/servers/k3s",
        host=SERVER,
        outcome="skipped",
        error="needs postgres/datastore/access",
        t=T + 82,
    ),
    events.RunDone(
        exit=1,
        ok=2,
        changed=1,
        failed=1,
        skipped=1,
        error="failed: postgres/datastore/access",
        hint="run again to resume: k3s-tui apply how-to.toml",
    ),
]
