"""The pictures in the README are of this wizard, not of an older one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.tui import screenshots


def test_they_are_not_stale(tmp_path: Path) -> None:
    """Drawn in a process of its own: it sets the time zone and the home folder."""
    code = (
        "import sys; from pathlib import Path; from tests.tui import screenshots\n"
        "screenshots.FOLDER = Path(sys.argv[1]); screenshots.main()\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TERM": "xterm-256color"},
        timeout=110,
    )
    drawn = {path.name: path.read_text() for path in tmp_path.glob("*.svg")}
    kept = {path.name: path.read_text() for path in screenshots.FOLDER.glob("*.svg")}
    assert drawn.keys() == kept.keys()
    differing = [name for name, svg in drawn.items() if svg != kept[name]]
    assert not differing, "look at them with: make screenshots; git diff --stat screenshots"


def test_no_picture_names_a_path_of_this_machine() -> None:
    for path in screenshots.FOLDER.glob("*.svg"):
        text = path.read_text()
        assert "/tmp/" not in text, path.name
        for part in (str(Path(__file__).parents[2]), str(Path.home())):
            assert len(part) < 6 or part not in text, path.name
