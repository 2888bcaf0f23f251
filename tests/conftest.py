"""For every folder of tests: the lab, taken in turns by the sessions of a machine, and the tally
of the faults.

Tests are spread over processes, file by file: each has a lab of its own, and counts by itself.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.faults import tally
from tests.lab.lab import Lab, in_use

_LAB = Path(__file__).parent / "lab"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only ``make faults`` has the time for, and give tests on the lab time for its
    first start, which fills the caches.
    """
    long = [item for item in items if not tally.FULL and item.get_closest_marker("full")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    for item in items:
        on_lab = _LAB in item.path.parents or "lab" in getattr(item, "fixturenames", ())
        if on_lab and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(14_400 if tally.FULL else 900))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tally"] = [asdict(row) for row in tally.SESSION.rows]
    elif tally.FULL and tally.SESSION.rows and not exitstatus and not _left_out(session.config):
        tally.write(tally.SESSION, whole=session.config.args == ["tests/faults"])


def _left_out(config: pytest.Config) -> int:
    """Tests that were skipped, or not chosen: without them, a report would promise too much."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    return sum(len(reporter.stats.get(kind, ())) for kind in ("skipped", "deselected"))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of tests has ended."""
    for row in getattr(node, "workeroutput", {}).get("tally", ()):
        tally.SESSION.add(tally.Row(**row))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tally.SESSION.rows:
        terminalreporter.section("faults")
        terminalreporter.write(tally.SESSION.table())
        if tally.FULL and (number := _left_out(terminalreporter.config)):
            terminalreporter.write(f"{number} tests were left out: no report was written\n")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab, up with bare hosts; afterwards as it was found, up or down."""
    if platform.system() != "Linux":
        pytest.skip("the lab needs Linux")
    if os.geteuid() != 0:
        pytest.skip("the lab needs root: it makes namespaces, mounts and containers")
    the_lab = Lab()
    with in_use(within=800):
        was_up = the_lab.is_up()
        if was_up:
            the_lab.fresh()
        else:
            the_lab.up()
        try:
            yield the_lab
        finally:
            if not was_up:
                the_lab.down()


@pytest.fixture(scope="module")
def bare_hosts(lab: Lab) -> Lab:
    """The lab with all hosts made bare again, for a module of tests."""
    lab.fresh()
    return lab
