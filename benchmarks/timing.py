"""One line per figure: what, the median of several runs, their range, the goal."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def wall(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def tell(what: str, seconds: list[float], goal: str) -> None:
    middle, low, high = statistics.median(seconds), min(seconds), max(seconds)
    print(f"{what:52} {middle:6.3f} s  ({low:.3f}-{high:.3f}, n={len(seconds)})  goal {goal}")
