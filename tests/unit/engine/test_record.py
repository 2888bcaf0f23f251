from __future__ import annotations

import json
import stat
from pathlib import Path

from k3s_tui.core.events import AnyEvent, Line, StepDone
from k3s_tui.core.secret import MASK, Redactor, Secret
from k3s_tui.engine.record import Recorder


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
