"""Patterns of OpenSSH's files: `*` and `?` are special, and nothing else is."""

from __future__ import annotations

import re


def compiled(pattern: str) -> re.Pattern[str]:
    """For `fullmatch`.  Each `*` takes as little as it can and never takes it back, so that a
    pattern of many stars is tried once, and not in every way there is.
    """
    first, *rest = (re.escape(part).replace(r"\?", ".") for part in pattern.split("*"))
    if not rest:
        return re.compile(first)
    *middle, last = rest
    return re.compile(f"{first}{''.join(f'(?>.*?{part})' for part in middle)}.*{last}")
