"""``python -m tests.faults.network_run FOLDER [SECONDS]``: one apply to the fleet, ended as the
tool ends; each of its steps has so many seconds.

Exits with 0 or 1; with 3 when it was refused or lost before a run began, with the cause on
standard error; anything else is a bug.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from k3s_tui.procedure.verbs import Hints, ending_of
from tests.faults.fleet_run import apply

ENDED_BEFORE = 3


def main(root: Path, within: float) -> int:
    try:
        return 0 if asyncio.run(apply(root, within=within)) else 1
    except Exception as error:
        told = ending_of(error, Hints())
        if told is None:
            raise
        print(f"error: {told.error}\ntry: {told.hint}", file=sys.stderr)
        return ENDED_BEFORE


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]) if sys.argv[2:] else 0.0))
