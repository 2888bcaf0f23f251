from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.hands import LocalHands
from tests.unit.shells import SHELLS


@pytest.fixture(params=SHELLS)
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> LocalHands:
    """This machine, once under each shell."""
    return LocalHands(request.param, tmp_path / "tools")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder to play host in, with a name that needs quoting."""
    folder = tmp_path / "it's a $root"
    folder.mkdir()
    return folder
