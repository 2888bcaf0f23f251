"""What a run leaves on the operator's machine, and what may be in its way."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import OperatorError, StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.script import quote
from k3s_tui.profile import lockfile
from k3s_tui.resources.laptop import LocalFile, RecordedSums
from tests.unit.hands import LocalHands

SUMS = {"install.sh": "1" * 64, "k3s-amd64": "2" * 64}


@pytest.fixture
def hands(tmp_path: Path) -> LocalHands:
    return LocalHands("dash", tmp_path / "tools")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def sums(path: Path, **differing: str) -> RecordedSums:
    wanted = SUMS | {name.replace("_", "-"): digest for name, digest in differing.items()}
    return RecordedSums(path, "v1.36.3+k3s1", "https://get.k3s.io", wanted)


async def test_a_secret_file(hands: LocalHands, root: Path) -> None:
    path = root / "x.kubeconfig"
    file = LocalFile(path, Secret("secret"))
    change = await hands.settle(file)
    assert change.summary == "write x.kubeconfig"
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("secret", 0o600)
    path.chmod(0o644)
    await hands.settle(file)
    await hands.settle(LocalFile(path, Secret("another")))


async def test_sums_are_recorded_once(hands: LocalHands, root: Path) -> None:
    path = root / "x.lock.toml"
    await hands.settle(sums(path))
    assert lockfile.load(path).sha256 == SUMS
    other = sums(path, k3s_amd64="3" * 64)
    found = other.diff(await hands.look(other))
    assert isinstance(found, Problem) and "3" * 64 in found.text
    with pytest.raises(OperatorError, match="not the one recorded"):
        await other.apply(hands, Change(""))


@pytest.mark.parametrize("what", ["kubeconfig", "lock file"])
async def test_no_folder_to_write_into(hands: LocalHands, root: Path, what: str) -> None:
    path = root / "gone" / "x"
    resource = LocalFile(path, Secret("secret")) if what == "kubeconfig" else sums(path)
    with pytest.raises(StepFailed, match="x cannot be written: No such file") as caught:
        await resource.apply(hands, Change(""))
    assert f"ls -ld {quote(str(root))}`" in caught.value.hint
    assert caught.value.host == "laptop"


async def test_a_folder_in_the_place_of_the_kubeconfig(hands: LocalHands, root: Path) -> None:
    path = root / "x"
    path.mkdir()
    file = LocalFile(path, Secret("secret"))
    with pytest.raises(StepFailed, match="x cannot be read: Is a directory"):
        await hands.look(file)
    with pytest.raises(StepFailed, match="x cannot be written: Is a directory"):
        await file.apply(hands, Change(""))


async def test_a_folder_in_the_place_of_the_lock_file(hands: LocalHands, root: Path) -> None:
    path = root / "x"
    path.mkdir()
    with pytest.raises(OperatorError, match="cannot be read"):
        await hands.look(sums(path))


async def test_no_place_for_a_lock(hands: LocalHands, root: Path, state: Path) -> None:
    state.write_text("in the way")
    with pytest.raises(StepFailed, match="cannot be written: Not a directory") as caught:
        await sums(root / "x").apply(hands, Change(""))
    assert f"ls -ld {quote(str(state))}`" in caught.value.hint
