from __future__ import annotations

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
