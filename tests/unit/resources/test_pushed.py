from __future__ import annotations

import hashlib
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.resources.pushed import Pushed
from tests.unit.hands import ME, LocalHands

CONTENT = b'#!/bin/sh\necho "k3s version v1.36.3+k3s1 (abc)"; echo "go version"\n'
SUM = hashlib.sha256(CONTENT).hexdigest()


class CountingHands(LocalHands):
    """Counts what is sent."""

    def __init__(self, shell: str, tools: Path) -> None:
        super().__init__(shell, tools)
        self.sent: list[str] = []

    async def put(self, path: str, source: Path) -> None:
        self.sent.append(path)
        await super().put(path, source)


@pytest.fixture
def hands(hands: LocalHands, tmp_path: Path, request: pytest.FixtureRequest) -> CountingHands:
    shell = request.node.callspec.params["hands"]
    assert isinstance(shell, str)
    return CountingHands(shell, tmp_path / "other-tools")


@pytest.fixture
def pushed(root: Path, tmp_path: Path) -> Pushed:
    source = tmp_path / "k3s"
    source.write_bytes(CONTENT)
    path, staging = str(root / "bin" / "k3s"), str(root / "staging")
    return Pushed(source, path, SUM, owner=ME, release="v1.36.3+k3s1", staging=staging)


def left(pushed: Pushed) -> list[str]:
    """Everything beside the file."""
    folders = (Path(pushed.staging), Path(pushed.path).parent)
    found = [path for folder in folders for path in folder.iterdir()]
    return [path.name for path in found if str(path) != pushed.path]


async def test_it_comes_once(hands: CountingHands, pushed: Pushed) -> None:
    change = await hands.settle(pushed)
    assert change.summary == f"push k3s to {pushed.path}"
    path = Path(pushed.path)
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert stat.S_IMODE(Path(pushed.staging).stat().st_mode) == 0o700
    assert left(pushed) == []
    assert hands.sent == [f"{pushed.staging}/{SUM}"]

    path.chmod(0o700)
    change = await hands.settle(pushed)
    assert change.summary == f"set mode 0700 → 0755 of {path}"
    assert len(hands.sent) == 1


async def test_another_content_is_replaced(hands: CountingHands, pushed: Pushed) -> None:
    Path(pushed.path).parent.mkdir()
    Path(pushed.path).write_text("something else")
    change = await hands.settle(pushed)
    assert "its SHA-256 is" in change.summary and SUM in change.summary


async def test_what_is_staged_already_is_not_sent(hands: CountingHands, pushed: Pushed) -> None:
    Path(pushed.staging).mkdir()
    (Path(pushed.staging) / SUM).write_bytes(CONTENT)
    await hands.settle(pushed)
    assert hands.sent == [] and left(pushed) == []


@pytest.mark.parametrize("there", ["the source", "the stage"])
async def test_what_is_not_as_its_sum_is_not_used(
    hands: CountingHands, pushed: Pushed, there: str
) -> None:
    if there == "the stage":
        Path(pushed.staging).mkdir()
        (Path(pushed.staging) / SUM).write_bytes(b"broken")
    else:
        pushed.source.write_bytes(b"broken")
    with pytest.raises(StepFailed, match=hashlib.sha256(b"broken").hexdigest()):
        await pushed.apply(hands, Change(""))
    assert not Path(pushed.path).exists() and left(pushed) == []
    if there == "the stage":  # the next run sends it
        await hands.settle(pushed)


@pytest.mark.parametrize("release", ["v1.36.3+k3s10", "v1.36.3+k3s", "v1.36.2+k3s1"])
async def test_another_release_is_not_used(
    hands: CountingHands, pushed: Pushed, release: str
) -> None:
    with pytest.raises(StepFailed, match=r"it says k3s version v1\.36\.3\+k3s1 \(abc\)"):
        await replace(pushed, release=release).apply(hands, Change(""))
    assert not Path(pushed.path).exists() and left(pushed) == []


async def test_a_link_in_place_of_the_stage(
    hands: CountingHands, pushed: Pushed, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    Path(pushed.staging).symlink_to(tmp_path / "elsewhere")
    await hands.settle(pushed)
    assert not Path(pushed.staging).is_symlink()


async def test_a_folder_in_the_way(hands: CountingHands, pushed: Pushed) -> None:
    Path(pushed.path).mkdir(parents=True)
    assert isinstance(pushed.diff(await hands.look(pushed)), Problem)
