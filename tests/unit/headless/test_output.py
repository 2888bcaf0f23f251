"""A run must not die with whoever reads its output."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.headless.operator import Done, python

SAYING = """
import os, sys
from k3s_tui.headless.output import Output
reader, writer = os.pipe()
if sys.argv[1] == "full":
    writer = os.open("/dev/full", os.O_WRONLY)
os.close(reader)
os.dup2(writer, 1)
out = Output(sys.stdout, told=sys.argv[2] == "told")
for line in range(3):
    out.say(f"line {line}")
print("the end of the run", file=sys.stderr)
sys.exit(3)
"""


def saying(tmp_path: Path, *words: str) -> Done:
    return python("-c", SAYING, *words, state=tmp_path)


@pytest.mark.parametrize(
    ("end", "reason"), [("closed", "nobody reads it"), ("full", "No space left on device")]
)
def test_the_run_goes_on(tmp_path: Path, end: str, reason: str) -> None:
    done = saying(tmp_path, end, "told")
    assert done.err == (
        f"standard output cannot be written ({reason}); the run goes on\nthe end of the run\n"
    )
    assert done.status == 3


def test_a_look_that_nobody_reads_needs_no_words(tmp_path: Path) -> None:
    done = saying(tmp_path, "closed", "untold")
    assert (done.err, done.status) == ("the end of the run\n", 3)


def test_lines_are_out_at_once(tmp_path: Path) -> None:
    """In a pipe, too: `apply | tee log` is watched."""
    script = (
        "import os, sys\nfrom k3s_tui.headless.output import Output\n"
        "Output(sys.stdout).say('said')\nos._exit(0)"
    )
    assert python("-c", script, state=tmp_path).out == "said\n"
