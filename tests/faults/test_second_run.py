"""P3: a second run changes nothing: no step, no file of host or laptop, no start of any unit."""

from __future__ import annotations

import pytest

from tests.faults import audit
from tests.faults.tally import Tally
from tests.faults.undisturbed import story
from tests.lab.lab import Lab
from tests.lab.test_main_job import UNITS


def test_a_second_run_changes_nothing(
    lab: Lab, tally: Tally, tmp_path_factory: pytest.TempPathFactory
) -> None:
    row = tally("P3", "apply to a finished cluster")
    told = story(lab, tmp_path_factory.mktemp("operators"))
    row.injected += 1
    done = told.again.events[-1]
    assert (told.again.status, done["changed"], done["failed"]) == (0, 0, 0), told.again
    # The looking glass sees what the first run did.
    assert len(list(audit.moved(told.bare, told.after))) > 1000
    for name, units in UNITS.items():
        assert told.after[name].starts.keys() >= {*units, "ssh.service", "dbus.service"}
    moved = list(audit.moved(told.after, told.afterwards))
    before, after, afterwards = told.desks
    moved += [f"laptop:{name}" for name, _ in after.items() ^ afterwards.items()]
    row.lost += len(moved)
    assert not moved
    written = {name for name, _ in after.items() - before.items()}
    assert written == {"lab.kubeconfig", "lab.lock.toml"}, "the first run is not seen"
    assert {"lab.toml", "lab.secrets"} <= after.keys()
    row.survived += 1
    files = sum(len(host.files) for host in told.after.values())
    row.note = f"{files} files of hosts, the laptop's and all units are as they were"
