from __future__ import annotations

import re

from tests.faults import tally as tallies
from tests.faults.tally import Tally


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
