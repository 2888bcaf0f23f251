"""How long a plan would take: typical times, not a promise.

The longest way through the plan decides: hosts work side by side, and servers start one after the
other.  What is not in the table is a moment's work.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from k3s_tui.core.contract import Step
from k3s_tui.engine.plan import Item, Plan

Seconds: TypeAlias = tuple[float, float]
"""From a host that is near a good mirror, to a small one on a slow line."""

TYPICAL: dict[str, Seconds] = {
    "datastore/packages": (20, 60),
    "datastore/cluster": (1, 10),
    "datastore/settings": (2, 6),
    "installation/packages": (5, 40),
    "installation/script": (1, 3),
    "installation/binary": (5, 60),
    "installation/images": (5, 180),
    "loadbalancer/packages": (10, 40),
    "loadbalancer/service": (1, 5),
    "servers/k3s": (15, 40),
    "servers/ready": (3, 15),
    "agents/k3s": (5, 20),
    "agents/ready": (3, 15),
}
"""By chapter and step, when there is something to do: K3s's are those of its first start."""

MOMENT: Seconds = (0.2, 1)


def estimate(plan: Plan) -> Seconds:
    """Seconds that carrying out the plan typically takes, at least and at most; 0 for nothing."""
    ends: dict[Step[Any], Seconds] = {}
    for step, item in plan.items.items():
        before = [ends[need] for need in step.needs if need in ends]
        least = max((end[0] for end in before), default=0)
        most = max((end[1] for end in before), default=0)
        own = _own(item)
        ends[step] = least + own[0], most + own[1]
    return (
        max((end[0] for end in ends.values()), default=0),
        max((end[1] for end in ends.values()), default=0),
    )


def _own(item: Item) -> Seconds:
    if item.verdict not in ("change", "later"):
        return 0, 0
    least, most = TYPICAL.get(item.step.id.partition("/")[2], MOMENT)
    # It is as wanted now, and only looked at again: there may be nothing to do.
    return (0, most) if item.verdict == "later" and item.state is not None else (least, most)
