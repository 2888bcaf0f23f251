"""What a screen leaves behind is taken away once the next one is being read."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tui.fields import go
from tests.tui.operator import how_to, operator


@pytest.fixture
def no_looks() -> Iterator[None]:
    """Python does not look for garbage by itself."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_looks")
async def test_a_step_that_was_left_is_forgotten(folder: Path) -> None:
    kept = gc.get_freeze_count()
    async with operator(folder, how_to(folder)) as user:
        await user.until(lambda: gc.get_freeze_count() > kept, "all modules are loaded")
        await go(user, "datastore")
        screen = user.wizard.screen
        widgets = [screen, *screen.query("*")]
        left: list[weakref.ref[Any]] = [weakref.ref(widget) for widget in widgets]
        left += [weakref.ref(widget._styles_cache) for widget in widgets]
        del screen, widgets
        # Where the machine is busy, some of it may still be ending when the next one rests.
        for step in ("servers", "agents", "servers", "agents"):
            await go(user, step)
            await user.until(lambda: user.wizard._sweep, "it is there")
            await user.until(lambda: not user.wizard._sweep, "it is being read")
            if not any(ref() for ref in left):
                return
    raise AssertionError([ref() for ref in left if ref()])
