"""A report explains a run, and holds no secret."""

from __future__ import annotations

import stat
import tarfile
from pathlib import Path

import pytest

from k3s_tui.core.errors import OperatorError
from k3s_tui.core.events import Line, Planned, RunDone, StepDone
from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.engine.record import EVENTS, Recorder
from k3s_tui.procedure import report

CANARY = "canary-that-must-not-sing"
PROFILE = """\
# the password is {canary}
schema = 1
name = "how-to"  # also {canary}

[datastore]
password = "store:datastore.password"

[k3s]
token = "{canary}"

[k3s.server-config]
node-label = ["a=b"]
etcd-s3-secret-key = "another-{canary}-one"
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "how-to.toml"
    path.write_text(PROFILE.format(canary="literal-out-of-place"))
    path.with_name("how-to.lock.toml").write_text('[hosts]\npostgres = "ssh-ed25519 AAAA"\n')
    path.with_name("how-to.secrets").write_text("age-encryption.org/v1 not to be handed on")
    path.with_name("how-to.kubeconfig").write_text("client-key-data: not to be handed on")
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A run's recording into which, by some mistake, a secret has come."""
    recorder = Recorder(tmp_path / "runs" / "20260101T000000-aaaa", Redactor())
    recorder(
        Planned(
            step="p/datastore/settings",
            host="p",
            verdict="change",
            summary="write",
            diff=f"+ password {CANARY}",
        )
    )
    recorder(Line(step="p/datastore/settings", host="p", text=f"psql said {CANARY}"))
    recorder(
        StepDone(
            step="p/datastore/settings",
            host="p",
            outcome="failed",
            error="it failed",
            tail="the last line",
            hint="try this",
        )
    )
    recorder(RunDone(exit=1, error="failed: p/datastore/settings", hint="run again"))
    recorder.close()
    assert recorder.path is not None
    return recorder.path


def contents(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as packed:
        texts = {}
        for member in packed.getmembers():
            file = packed.extractfile(member)
            assert file is not None
            texts[Path(member.name).name] = file.read().decode()
        return texts


def test_a_report_holds_what_explains_the_run(events: Path, profile: Path) -> None:
    texts = contents(report.save(events, profile, Redactor([Secret(CANARY)])))
    assert set(texts) == {"README.txt", *report.CONTENTS} - {"bug.txt"}
    assert "change   p/datastore/settings: write" in texts["plan.txt"]
    assert "p/datastore/settings: it failed\nthe last line\ntry: try this" in texts["ending.txt"]
    assert "exit 1: failed" in texts["ending.txt"]
    assert "k3s-tui " in texts["versions.txt"]
    assert "ssh-ed25519 AAAA" in texts["lock.toml"]
    assert len(texts[EVENTS].splitlines()) == 4
    for name in set(texts) - {"README.txt"}:
        assert name in texts["README.txt"]


def test_no_secret_is_in_it(events: Path, profile: Path) -> None:
    assert CANARY in events.read_text()
    bug = RuntimeError(f"unforeseen: {CANARY}")
    texts = contents(report.save(events, profile, Redactor([Secret(CANARY)]), bug=bug))
    everything = "\n".join(texts.values())
    assert CANARY not in everything
    assert "literal-out-of-place" not in everything
    assert "not to be handed on" not in everything
    assert 'password = "store:datastore.password"' in texts["profile.toml"]
    # What an error says may be a secret that nobody has told the redactor of.
    assert "builtins.RuntimeError" in texts["bug.txt"] and "unforeseen" not in everything


def test_it_is_the_operators_alone_and_lies_beside_the_run(events: Path, profile: Path) -> None:
    path = report.save(events, profile, Redactor())
    assert path == events.parent.parent / "20260101T000000-aaaa-report.tar.gz"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as packed:
        assert {member.mode for member in packed.getmembers()} == {0o600}
        assert all(member.isfile() for member in packed.getmembers())


def test_what_is_missing_is_left_out(events: Path, tmp_path: Path) -> None:
    texts = contents(report.save(events, tmp_path / "gone.toml", Redactor()))
    assert "profile.toml" not in texts
    assert "lock.toml" not in texts


def test_of_a_long_recording_the_end_is_handed_on(
    events: Path, profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_LARGEST", 400)
    text = contents(report.save(events, profile, Redactor()))[EVENTS]
    assert len(text) <= 400
    assert text.startswith('{"type":')
    assert '"run-done"' in text


def test_a_place_that_cannot_be_written_is_told(profile: Path) -> None:
    with pytest.raises(OperatorError):
        report.save(Path("/proc/nowhere/run/events.jsonl"), profile, Redactor())
