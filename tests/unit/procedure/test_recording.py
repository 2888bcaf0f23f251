"""The run that `k3s-tui demo` replays is one of today's procedure."""

from __future__ import annotations

from pathlib import Path

from k3s_tui.core.events import Planned, StepDone
from k3s_tui.procedure import cluster
from k3s_tui.profile.load import load
from k3s_tui.tui.replay import recorded
from tests.unit.procedure.sites import site

DEMO = Path(cluster.__file__).parents[1] / "demo"


def test_it_has_every_step_and_no_other() -> None:
    """When this fails: `python -m tests.lab record`, then `make screenshots`."""
    here = site(load(DEMO / "how-to.toml"))
    wanted = {step.id for step in (*cluster.build(here), *cluster.prove(here))}
    events = recorded()
    planned = {event.step for event in events if isinstance(event, Planned)}
    done = {event.step for event in events if isinstance(event, StepDone)}
    assert planned | done == wanted
