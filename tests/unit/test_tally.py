from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import tally as tallies
from tests.faults.tally import Tally
from tests.lab import paths

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_rows_stand_in_the_order_of_their_promises() -> None:
    tally = Tally()
    tally("P10", "escape sequences").injected += 3
    cut = tally("P2", "a cut")
    cut.injected += 1
    cut.survived += 1
    assert tally("P2", "a cut") is cut
    assert [line.split("|")[1].strip() for line in tally.table().splitlines()[2:]] == ["P2", "P10"]
    assert "| P2  | a cut            | 1        | 1        | 0 " in tally.table()


def test_the_readme_has_a_line_for_each_promise() -> None:
    tally = Tally()
    for fault, number in (("a cut", 3), ("a stall", 4)):
        row = tally("P2", fault)
        row.injected, row.survived, row.canaries = number, number - 1, 1
    table = tally.by_promise()
    (line,) = table.splitlines()[2:]
    name, promise, tests, *counts = (cell.strip() for cell in line.split("|")[1:-1])
    assert [name, *counts] == ["P2", "7", "5", "0", "2"]
    assert "half-closed network" in promise and "(tests/faults/test_network.py)" in tests
    page = tallies.inserted(tallies.README.read_text(), table)
    assert table in page and tallies.inserted(page, table) == page


def test_every_promise_has_words_and_tests_that_are_there() -> None:
    found = tallies.promises(tallies.SECURITY.read_text())
    assert list(found) == [f"P{n}" for n in range(1, 16)]
    for words, tests in found.values():
        assert words
        paths = re.findall(r"\(([^)]+)\)", tests)
        assert paths and all((tallies.SECURITY.parent / path).is_file() for path in paths), tests


def test_a_row_is_read_as_it_was_written() -> None:
    tally = Tally()
    row = tally("P14", "a server stopped")
    row.injected, row.survived, row.note = 1, 1, "longest gap 0.1 s"
    assert tallies.Row.of(tally.table().splitlines()[2]) == row
    newer = Tally()
    newer("P14", "a server stopped").injected = 2
    newer.keep(row)
    newer.keep(tallies.Row("P2", "a cut"))
    assert [(row.promise, row.injected) for row in newer.rows] == [("P2", 0), ("P14", 2)]


def test_a_report_says_what_the_hosts_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"{tallies.BEGIN}\n{tallies.END}\n")
    monkeypatch.setattr(tallies, "README", page)
    monkeypatch.setattr(tallies, "REPORT", tmp_path / "faults.md")
    monkeypatch.setattr(paths, "RELEASES", tmp_path / "releases")
    tally = Tally()
    tally("P2", "a cut").injected = 1
    tallies.write(tally, whole=True)
    assert "no hosts with K3s" in tallies.REPORT.read_text()
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "version").write_text("v1.36.3+k3s1\n")
    (tmp_path / "releases" / "install.sh").write_text("#!/bin/sh\n# standin\n")
    tallies.write(tally, whole=True)
    assert "stand-in for K3s (tests/lab), version v1.36.3+k3s1" in tallies.REPORT.read_text()


@pytest.mark.parametrize(
    ("body", "options", "written"),
    [
        ("", [], True),
        ("import pytest; pytest.skip('not here')", [], False),
        ("", ["-k", "one"], False),
        ("", ["-m", "not full"], False),
    ],
)
def test_no_report_of_a_session_that_left_something_out(
    tmp_path: Path, body: str, options: list[str], written: bool
) -> None:
    """A session of its own, by the same conftest, whose report is a mark."""
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import pytest_sessionfinish, pytest_terminal_summary\n"
        "from tests.faults import tally\n"
        f"tally.write = lambda *_, **__: open({str(tmp_path / 'mark')!r}, 'w').close()\n"
    )
    (tmp_path / "test_x.py").write_text(
        "import pytest\n"
        "from tests.faults import tally\n"
        "def test_one(): tally.SESSION('P2', 'a cut').injected += 1\n"
        f"@pytest.mark.full\ndef test_two():\n    {body or 'pass'}\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            *("-c", str(PYPROJECT), *options, str(tmp_path)),
        ],
        cwd=PYPROJECT.parent,
        env={**os.environ, "K3S_TUI_FAULTS": "full"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done
    assert (tmp_path / "mark").exists() == written, done.stdout
    assert ("1 tests were left out: no report was written" in done.stdout) != written
