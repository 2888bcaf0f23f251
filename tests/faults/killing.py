"""``kill -9`` of the real `k3s-tui apply`, just after it has said something."""

from __future__ import annotations

import itertools
import json
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tests.lab.product import Product

Event = dict[str, Any]

DELAYS = (0.0, 0.0, 0.03, 0.3)
"""Seconds between the event and the kill: at once, or somewhere inside what the event began."""


@dataclass(frozen=True)
class Point:
    """After the `nth` event (from 1) of one kind, about one thing.

    It names an event by what it is and not by its number: from run to run, and after a first kill,
    lines of output come in other numbers.
    """

    kind: str
    about: str
    """A step, or a host where there is none."""
    nth: int
    delay: float

    def __str__(self) -> str:
        return f"{self.kind} {self.nth} of {self.about} + {self.delay:g} s"


def points(events: Sequence[Event], count: int, seed: str) -> list[Point]:
    """`count` points spread over a whole run, in its order; the same for the same seed."""
    chosen = random.Random(seed)
    bounds = [round(i * (len(events) - 1) / count) for i in range(count + 1)]
    wanted = [chosen.randrange(low, max(low + 1, high)) for low, high in itertools.pairwise(bounds)]
    seen: Counter[tuple[str, str]] = Counter()
    found: list[Point] = []
    for number, event in enumerate(events):
        seen[named(event)] += 1
        if number in wanted:
            kind, about = named(event)
            found.append(Point(kind, about, seen[kind, about], chosen.choice(DELAYS)))
    return found


def named(event: Event) -> tuple[str, str]:
    return event["type"], event.get("step") or event.get("host") or ""


def kill_at(product: Product, point: Point) -> bool:
    """Apply, and kill it there; False when it came to its end without getting there."""
    process = product.start("apply", product.profile, "--yes", "--json")
    left = point.nth
    try:
        assert process.stdout is not None
        for line in process.stdout:
            left -= named(json.loads(line)) == (point.kind, point.about)
            if not left:
                _pause(process, point.delay)
                break
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return process.returncode == -signal.SIGKILL


def kill_in_any(product: Product, steps: Collection[str], delay: float) -> str:
    """Apply, and kill it in the first of these steps that begins; which, '' when none did."""
    process = product.start("apply", product.profile, "--yes", "--json")
    begun = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            kind, step = named(json.loads(line))
            if kind == "step-started" and step in steps:
                begun = step
                _pause(process, delay)
                break
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return begun if process.returncode == -signal.SIGKILL else ""


def _pause(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Let it go on for a moment, unless it ends."""
    if seconds:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
