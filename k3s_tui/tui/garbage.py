"""When Python looks for garbage: while the operator reads, not while a screen comes up.

A look through all that a wizard has made takes some 100 ms, as long as drawing a step does
(docs/reference/figures.md).  By itself Python begins one when much is made at once: in the middle
of a step.
"""

from __future__ import annotations

import gc

from textual._styles_cache import StylesCache

REST = 0.5
"""Seconds after which a screen is there, and being read."""

_SELDOM = 60
"""Looks through what is young for each look through all, where Python has 10: what is left behind
stays bounded even where no screen is ever at rest.
"""


def keep() -> None:
    """What is there by now, modules above all, stays: no later look goes through it."""
    gc.freeze()
    young, middle, _old = gc.get_threshold()
    gc.set_threshold(young, middle, _SELDOM)


def sweep() -> None:
    """Take away what is left of screens that are gone."""
    # Textual 8 keeps a thousand widgets' drawn lines there, long after the widgets.
    StylesCache.get_inner_outer.cache_clear()
    gc.collect()
