"""An operator at the wizard: presses keys, waits for what must come, reads the screen."""

from __future__ import annotations

import asyncio
import builtins
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.screens.step import StepScreen

S = TypeVar("S", bound="Screen[Any]")
PATIENCE = 20.0
"""Seconds that a condition may take on a busy machine."""

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "how-to.toml"


@dataclass
class Operator:
    """One wizard in a terminal of its own."""

    wizard: Wizard
    pilot: Pilot[int]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        names = {" ": "space", "\n": "enter"}
        await self.press(*(names.get(c, c) for c in text))

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait for a condition; fails with the screen's text when it does not come."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"not seen: {what}\n{self.text}"
            await self.pilot.pause()
            await asyncio.sleep(0.01)

    async def on(self, screen: builtins.type[S]) -> S:
        """Wait until such a screen or dialog is on top."""
        await self.until(lambda: isinstance(self.wizard.screen, screen), screen.__name__)
        await self.pilot.pause()
        return cast(S, self.wizard.screen)

    async def at(self, step: str) -> StepScreen:
        """Wait until this step of the wizard is shown."""
        await self.until(
            lambda: (
                isinstance(self.wizard.screen, StepScreen) and self.wizard.screen.step.id == step
            ),
            step,
        )
        await self.pilot.pause()
        return cast(StepScreen, self.wizard.screen)

    async def sees(self, text: str) -> None:
        """Wait until the screen shows this text."""
        await self.until(lambda: text in self.text, text)

    @property
    def text(self) -> str:
        """What the terminal shows, line by line."""
        screen = self.wizard.screen
        width, height = self.wizard.size
        lines = screen._compositor.render_strips()[:height]
        return "\n".join(strip.text.rstrip() for strip in lines) + f"\n({width}x{height})"

    @property
    def focused(self) -> Widget | None:
        return self.wizard.focused


@asynccontextmanager
async def operator(
    folder: Path, profile: Path | None = None, size: tuple[int, int] = (80, 24), **settings: Any
) -> AsyncIterator[Operator]:
    """Start the wizard as in `folder`; `profile` is opened at once."""
    wizard = Wizard(Settings(profile, folder=folder, **settings))
    async with wizard.run_test(size=size) as pilot:
        yield Operator(wizard, pilot)


def how_to(folder: Path) -> Path:
    """The how-to's profile, in this folder."""
    path = folder / "how-to.toml"
    path.write_text(EXAMPLE.read_text())
    return path
