from __future__ import annotations

import pytest

from tests.faults import tally as tallies

# Loopback's sshd and its operator's home, as in tests/ssh.
from tests.ssh.conftest import connect, home, sshd

__all__ = ["connect", "home", "sshd"]

_TALLY = tallies.Tally()


@pytest.fixture(scope="session")
def tally() -> tallies.Tally:
    """Counts the faults: ``row = tally("P1", "kill -9 after an event"); row.injected += 1``."""
    return _TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _TALLY.rows:
        terminalreporter.section("faults")
        terminalreporter.write(_TALLY.table())


def pytest_sessionfinish(exitstatus: int) -> None:
    # A page of a run that failed, or of a slice, would say less than it seems to.
    if tallies.FULL and exitstatus == 0:
        tallies.REPORT.write_text(tallies.report(_TALLY))
