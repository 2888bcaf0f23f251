"""Fixtures for every folder of tests: the lab, taken in turns by the sessions of a machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import tally
from tests.lab.lab import Lab, in_use

_LAB = Path(__file__).parent / "lab"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests on the lab time for its first start, which fills the caches."""
    for item in items:
        on_lab = _LAB in item.path.parents or "lab" in getattr(item, "fixturenames", ())
        if on_lab and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(14_400 if tally.FULL else 900))


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
