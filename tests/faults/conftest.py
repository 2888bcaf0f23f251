from __future__ import annotations

import pytest

from tests.faults import tally as tallies

# Loopback's sshd and its operator's home, as in tests/ssh.
from tests.ssh.conftest import connect, home, sshd

__all__ = ["connect", "home", "sshd"]


@pytest.fixture(scope="session")
def tally() -> tallies.Tally:
    """Counts the faults: ``row = tally("P1", "kill -9 after an event"); row.injected += 1``."""
    return tallies.SESSION
