"""The wizard presses its keys itself: for a demo that one watches, and for the screenshots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from textual.pilot import Pilot

from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.screens.finish import FinishScreen
from k3s_tui.tui.screens.review import ReviewScreen
from k3s_tui.tui.screens.run import RunScreen
from k3s_tui.tui.steps import STEPS

if TYPE_CHECKING:
    from k3s_tui.tui.app import Wizard

Seen: TypeAlias = Callable[[str], Awaitable[None]]
"""Called with a screen's name whenever one is there to be looked at."""

_LOOK = 2.0
"""Seconds that somebody needs to see what a screen is about."""


async def walk(pilot: Pilot[Any], seen: Seen | None = None) -> None:
    """From the first step to the end of the run.  Without `seen` it waits as a watcher would."""

    async def linger(_: str) -> None:
        await asyncio.sleep(_LOOK)

    with suppress(_Left):
        await _walk(pilot, seen or linger)


class _Left(Exception):
    """Whoever watched has left."""


async def _walk(pilot: Pilot[Any], seen: Seen) -> None:
    wizard = cast("Wizard", pilot.app)
    for step in STEPS:
        await _until(pilot, partial(_is_at, wizard, step.id))
        await seen(step.id)
        if step.id != "review":
            await pilot.press("ctrl+n")
    await pilot.press("p")
    await _until(pilot, lambda: cast(ReviewScreen, wizard.screen).plan is not None)
    await seen("plan")
    await pilot.press("ctrl+n")
    await _until(pilot, lambda: isinstance(wizard.screen, ConfirmDialog))
    await seen("confirm")
    await pilot.press("tab", "enter")
    await _until(pilot, lambda: isinstance(wizard.screen, RunScreen))
    await seen("run")
    await _until(pilot, lambda: isinstance(wizard.screen, FinishScreen))
    await seen("finish")


def _is_at(wizard: Wizard, step: str) -> bool:
    return wizard.current_step == step


async def _until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    while not condition():
        if pilot.app.return_code is not None:
            raise _Left
        await pilot.pause(0.02)
    await pilot.pause()
