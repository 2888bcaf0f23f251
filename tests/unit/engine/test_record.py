from __future__ import annotations

import json
import stat
from pathlib import Path

from k3s_tui.core.events import AnyEvent, Line, StepDone, StepStarted
from k3s_tui.core.secret import MASK, Redactor, Secret
from k3s_tui.engine.record import EVENTS, Recorder


def test_events_are_numbered_timed_redacted_and_written_down(tmp_path: Path) -> None:
    heard: list[AnyEvent] = []
    recorder = Recorder(tmp_path / "run", Redactor([Secret("canary-value")]))
    recorder.subscribe(heard.append)
    recorder(Line(step="a/x", host="a", text="got canary-value"))
    recorder(StepDone(step="a/x", host="a", outcome="failed", tail="in canary-value out"))
    recorder.close()
    assert recorder.path
    assert stat.S_IMODE(recorder.path.stat().st_mode) == 0o600
    written = [json.loads(line) for line in recorder.path.read_text().splitlines()]
    assert [(e["seq"], e["type"]) for e in written] == [(1, "line"), (2, "step-done")]
    assert written[0]["text"] == f"got {MASK}"
    assert written[1]["tail"] == f"in {MASK} out"
    assert all(e["t"] > 1_700_000_000 for e in written)
    assert [event.seq for event in heard] == [1, 2]
    assert "canary" not in repr(heard)


def test_a_reader_that_fails_is_left_out_and_ends_nothing(tmp_path: Path) -> None:
    heard: list[AnyEvent] = []

    def closed(event: AnyEvent) -> None:
        raise BrokenPipeError

    recorder = Recorder(tmp_path / "run", Redactor())
    recorder.subscribe(closed)
    recorder.subscribe(heard.append)
    for number in range(3):
        recorder(Line(step="a/x", host="a", text=str(number)))
    recorder.close()
    assert len(heard) == 3
    assert len(recorder.failures) == 1
    assert recorder.path and len(recorder.path.read_text().splitlines()) == 3


def test_no_text_in_an_event_can_harm_a_terminal(tmp_path: Path) -> None:
    heard: list[AnyEvent] = []
    recorder = Recorder(None, Redactor())
    recorder.subscribe(heard.append)
    hostile = "\x1b]52;c;cHdu\x07 \u202e"
    recorder(
        StepDone(step="a/x", host="a", outcome="failed", error=hostile, tail=f"one\n{hostile}")
    )
    [event] = heard
    assert isinstance(event, StepDone)
    assert "\x1b" not in event.error + event.tail and "\u202e" not in event.error
    assert event.tail.startswith("one\n")


def test_a_full_disk_cuts_the_file_and_not_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / EVENTS).symlink_to("/dev/full")
    recorder = Recorder(folder, Redactor())
    seen: list[AnyEvent] = []
    recorder.subscribe(seen.append)
    for _ in range(2):
        recorder(StepStarted(step="a/x", host="a"))
    recorder.close()
    assert len(seen) == 2
    assert recorder.cut == "No space left on device"
