"""P3: a second run changes nothing: no step, no file of any host, no start of any unit."""

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
    row.lost += len(moved)
    assert not moved
    row.survived += 1
    files = sum(len(host.files) for host in told.after.values())
    row.note = f"{files} files and all units are as they were"
