"""When what is found is the release that is wanted."""

from __future__ import annotations

import re


def same_release(found: str, wanted: str) -> bool:
    """Whether `found` is `wanted`, up to what a build appends to its version.

    `v1.34.1+k3s1-standin` and `v1.34.1+k3s1 (abc)` are builds of `v1.34.1+k3s1`, and
    `v1.34.1+k3s10` is another release.
    """
    return bool(re.match(rf"{re.escape(wanted)}(?![0-9.])", found))
