from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.hands import LocalHands
from tests.unit.postgres import server as servers
from tests.unit.postgres.datastore import Datastore, ServerHands, converge
from tests.unit.postgres.server import Server
from tests.unit.shells import SHELLS


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A folder with a fresh cluster that is never started, to be copied."""
    servers.binaries()
    folder = servers.new_folder()
    servers.initdb(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(template: Path) -> Iterator[Server]:
    """A running cluster as initdb made it, for this test alone."""
    made = servers.launch(template)
    yield made
    servers.remove(made)


@pytest.fixture(params=SHELLS)
def every_shell(request: pytest.FixtureRequest, tmp_path: Path) -> LocalHands:
    """This machine, under each shell in turn."""
    return LocalHands(request.param, tmp_path / "tools")


@pytest.fixture
def hands(tmp_path: Path) -> LocalHands:
    """This machine, for what is about PostgreSQL and whose scripts meet every shell elsewhere."""
    return LocalHands("dash", tmp_path / "tools")


@pytest.fixture(scope="module")
def datastore(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datastore]:
    """A datastore as a run leaves it; who changes it puts it back."""
    made = servers.launch(template)
    hands = LocalHands("dash", tmp_path_factory.mktemp("datastore") / "tools")
    yield asyncio.run(converge(hands, made))
    servers.remove(made)


@pytest.fixture
def k3s_server(tmp_path: Path) -> ServerHands:
    return ServerHands(tmp_path / "tools")
