"""P6: profile, lock file, store and journal outlive a kill and a power loss at any system call.

What is replaced is afterwards as it was or as it is to be, never something between; of the journal
the last line may be torn, and then it is left out by all that read it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from k3s_tui.core.errors import Exit
from k3s_tui.core.events import AnyEvent, Line, RunDone, RunStarted, StepDone, StepStarted
from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.engine.record import EVENTS, Recorder
from k3s_tui.procedure import history, report
from k3s_tui.procedure.recording import runs_folder
from k3s_tui.profile import age, lockfile
from k3s_tui.profile.leftovers import sweep
from k3s_tui.profile.load import load
from k3s_tui.profile.neighbours import lock_file, secrets_file
from k3s_tui.profile.save import save
from k3s_tui.profile.store import Store
from tests.faults.readers import KEY, LOCK, STORE
from tests.faults.syscalls import Disk, calls_of, kill_at, points_of
from tests.faults.tally import Tally, amount
from tests.unit.profile.documents import TEXT

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's"),
    pytest.mark.timeout(900),
]

PASSPHRASE = Secret("a passphrase")


@dataclass(frozen=True)
class Written:
    """One file: how it is before, and who writes it."""

    file: Callable[[Path], Path]
    old: bytes
    write: Callable[[Path], None]


def _save_profile(profile: Path) -> None:
    before = load(profile)
    save(profile, msgspec.structs.replace(before, note="written anew"))


def _pin(profile: Path) -> None:
    lockfile.pin_host_keys(lock_file(profile), {"another": KEY})


def _record(profile: Path) -> None:
    lockfile.record_checksums(
        lock_file(profile), "v1.36.3+k3s1", "https://get.k3s.io", {"k3s-arm64": "2" * 64}
    )


def _put(profile: Path) -> None:
    file = secrets_file(profile)
    asyncio.run(Store(file, PASSPHRASE, {"k3s.token": Secret("new")}).save())


WRITERS = {
    "profile": Written(lambda profile: profile, TEXT.encode(), _save_profile),
    "lock file, host key": Written(lock_file, LOCK.encode(), _pin),
    "lock file, checksums": Written(lock_file, LOCK.encode(), _record),
    "secret store": Written(secrets_file, b"the sealed store as it was", _put),
}


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A profile with its neighbours, and a state folder, of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "x.toml"


@pytest.fixture(params=WRITERS)
def written(
    request: pytest.FixtureRequest, profile: Path, monkeypatch: pytest.MonkeyPatch
) -> Written:
    one = WRITERS[request.param]
    profile.write_text(TEXT)
    one.file(profile).write_bytes(one.old)
    if one.write is _put:
        # Sealing takes a second, by a process of its own that writes no file: once is enough.
        sealed = asyncio.run(age.encrypt(STORE, PASSPHRASE.reveal()))

        async def encrypt(content: bytes, passphrase: str) -> bytes:
            return sealed

        monkeypatch.setattr(age, "encrypt", encrypt)
    return one


def _all_of(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _again(profile: Path, written: Written) -> None:
    """Everything in the folder as it was before the writer."""
    for path in profile.parent.iterdir():
        path.unlink()
    profile.write_text(TEXT)
    written.file(profile).write_bytes(written.old)


def test_a_kill_at_any_call(profile: Path, written: Written, tally: Tally) -> None:
    row = tally("P6", "kill -9 on entering a system call of a writer")
    file = written.file(profile)
    written.write(profile)
    new = file.read_bytes()
    assert new != written.old
    _again(profile, written)
    points, seen = points_of(lambda: written.write(profile)), set()
    for point in points:
        _again(profile, written)
        if not kill_at(point, lambda: written.write(profile)):
            continue
        found = file.read_bytes()
        row.injected += 1
        if found not in (written.old, new):
            row.lost += 1
        assert found in (written.old, new), f"torn at {point}: {found!r}"
        seen.add(found)
        # The next one is not in the way of what was left, and takes it along.
        sweep(profile)
        assert not [name for name in _all_of(profile.parent) if name.endswith(".tmp")]
        written.write(profile)
        assert file.read_bytes() == new
        row.survived += 1
    assert {name for name, _ in points} >= {"write", "fsync", "rename"}
    assert seen == {written.old, new}


def test_a_power_loss_at_any_call(profile: Path, written: Written, tally: Tally) -> None:
    row = tally("P6", "power loss between system calls, unsynced data kept, torn, zeroed or lost")
    file = written.file(profile)
    disk = Disk.of(profile.parent)
    calls = calls_of(lambda: written.write(profile))
    new = file.read_bytes()
    concerned = 0
    for line in calls:
        if not disk.play(line):
            continue
        concerned += 1
        for state in disk.after_power_loss():
            row.injected += 1
            if state.get(file.name) not in (written.old, new):
                row.lost += 1
            assert state.get(file.name) in (written.old, new), f"after {line[:200]}"
            row.survived += 1
    assert concerned >= 5, calls  # made, written, synced, renamed, and the folder synced
    # Once the writer has returned, nothing can take back what it wrote.
    assert {state[file.name] for state in disk.after_power_loss()} == {new}
    assert {name: inode.now for name, inode in disk.current.items()} == _all_of(profile.parent)


def _careless(path: Path) -> None:
    path.write_bytes(b"the new content")


def _unsynced(path: Path) -> None:
    spare = path.with_name("spare")
    spare.write_bytes(b"the new content")
    spare.replace(path)


def test_a_careless_writer_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "file"
    ends = (b"the old content", b"the new content")
    path.write_bytes(ends[0])
    torn = False
    for point in points_of(lambda: _careless(path)):
        path.write_bytes(ends[0])
        kill_at(point, lambda: _careless(path))
        torn = torn or path.read_bytes() not in ends
    assert torn
    for writer in (_careless, _unsynced):
        path.write_bytes(ends[0])
        disk = Disk.of(tmp_path)
        left = set()
        for line in calls_of(lambda writer=writer: writer(path)):  # type: ignore[misc]
            disk.play(line)
            left |= {state.get(path.name) for state in disk.after_power_loss()}
        assert left - set(ends), f"{writer.__name__} seems safe"
        path.unlink()


# -- the journal ----------------------------------------------------------------------------------

SAID: list[AnyEvent] = [
    RunStarted(tool="1", run="r", verb="apply", profile="x.toml", hosts=["a"]),
    StepStarted(step="a/servers/k3s", host="a"),
    Line(step="a/servers/k3s", host="a", text="ein größerer 日本 line"),
    StepDone(step="a/servers/k3s", host="a", outcome="changed", summary="größer"),
    StepStarted(step="a/servers/ready", host="a"),
    StepDone(step="a/servers/ready", host="a", outcome="failed", error="é"),
    RunDone(exit=Exit.FAILED, failed=1, error="日本"),
]


def _say(folder: Path) -> None:
    recorder = Recorder(folder, Redactor())
    for event in SAID:
        recorder(event)
    recorder.close()


def _said(event: AnyEvent) -> AnyEvent:
    return msgspec.structs.replace(event, seq=0, t=0.0)


def _readable(profile: Path, folder: Path) -> int:
    """All that read the journal do; how many events are in it, which are the first ones."""
    path = folder / EVENTS
    if not path.exists():  # killed before it was made
        past = history.last_run(profile, "x")
        assert past is None or past.path.parent != folder
        return 0
    found = [_said(event) for event in history.replay(path)]
    assert found == SAID[: len(found)]
    past = history.last_run(profile, "x")
    assert past is not None and (past.exit is None) == (len(found) < len(SAID))
    assert report.save(path, profile, Redactor()).stat().st_size
    return len(found)


def test_a_kill_while_the_journal_is_written(profile: Path, tally: Tally) -> None:
    row = tally("P6", "kill -9 on entering a system call of the journal")
    runs, counts = runs_folder(profile, "x"), set()
    runs.mkdir(parents=True)
    for number, point in enumerate(points_of(lambda: _say(runs / "run-0000")), start=1):
        folder = runs / f"run-{number:04}"
        if not kill_at(point, lambda folder=folder: _say(folder)):  # type: ignore[misc]
            continue  # a call less: garbage of the session's was closed in the first one
        counts.add(_readable(profile, folder))
        row.injected += 1
        row.survived += 1
    assert counts == set(range(len(SAID) + 1)) - {3}, counts  # a line is not flushed by itself


def test_a_power_loss_while_the_journal_is_written(profile: Path, tally: Tally) -> None:
    row = tally("P6", "power loss while the journal is written: whole, torn, zeroed or gone")
    folder = runs_folder(profile, "x") / "run"
    folder.mkdir(parents=True)
    disk = Disk.of(folder)
    calls = calls_of(lambda: _say(folder))
    raw = (folder / EVENTS).read_bytes()
    states: dict[bytes | None, None] = {}
    for line in calls:
        if disk.play(line):
            states |= {state.get(EVENTS): None for state in disk.after_power_loss()}
    # Every byte at which it can be torn, besides: a multi-byte character has more than one.
    states |= {raw[:cut]: None for cut in range(0, len(raw), amount(7, 1))}
    for state in states:
        (folder / EVENTS).unlink(missing_ok=True)
        if state is not None:
            (folder / EVENTS).write_bytes(state)
        row.injected += 1
        if state is not None and b"\x00" in state:
            assert len(list(history.replay(folder / EVENTS))) <= len(SAID)  # a hole, told of none
            assert history.last_run(profile, "x") is not None
        else:
            _readable(profile, folder)
        row.survived += 1
    # How a run ended is safe before anybody is told.
    assert {state.get(EVENTS) for state in disk.after_power_loss()} == {raw}


def test_every_cut_of_the_last_line_is_left_out(profile: Path) -> None:
    folder = runs_folder(profile, "x") / "run"
    _say(folder)
    whole = (folder / EVENTS).read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(whole) - 1):
        (folder / EVENTS).write_bytes(whole[:cut])
        assert _readable(profile, folder) == len(SAID) - 1, cut
