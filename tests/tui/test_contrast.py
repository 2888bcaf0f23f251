"""All that the wizard draws can be read in every theme: measured on the screens themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color
from textual.pilot import Pilot
from textual.screen import ModalScreen

from k3s_tui.tui import themes
from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.autoplay import walk
from k3s_tui.tui.replay import DEMO, recorded
from tests.tui.screenshots import Held, HeldBackend
from tests.unit.tui.test_themes import READABLE, ratio

_TABS = {"hosts": 5, "certificates": 5, "servers": 6, "loadbalancer": 4, "plan": 3, "finish": 3}
"""By step, how often the focus goes on: through each kind of widget at least once."""

THEMES = [theme.name for theme in themes.load(None).themes]


def unreadable(wizard: Wizard) -> Iterator[str]:
    """Each text on the screen with too little contrast.

    Widgets that cannot be used now are drawn so, and so is what lies below a dialog.
    """
    for y, strip in enumerate(wizard.screen._compositor.render_strips()):
        x = 0
        for segment in strip:
            at, x = x, x + segment.cell_length
            text, style = segment.text, segment.style
            if not any(character.isalnum() for character in text):
                continue
            assert style is not None and style.color and style.bgcolor
            colors = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
            if ratio(*colors) >= READABLE:
                continue
            widget, _ = wizard.screen.get_widget_at(at + len(text) - len(text.lstrip()), y)
            if not widget.is_disabled and not isinstance(widget, ModalScreen):
                told = " on ".join(color.hex for color in colors)
                yield f"{wizard.current_step} {widget!r}: {text.strip()!r} {told}"


class Reader:
    """Looks at every screen, at its fields with and without the focus, and at what covers it."""

    def __init__(self, wizard: Wizard, pilot: Pilot[int]) -> None:
        self.wizard, self.pilot = wizard, pilot
        self.looks = 0
        self.bad: set[str] = set()

    def look(self) -> None:
        self.looks += 1
        self.bad.update(unreadable(self.wizard))

    async def seen(self, name: str) -> None:
        await self.pilot.pause()
        self.look()
        run = self.wizard.run_controller
        if isinstance(run, Held) and name == "run":
            run.forward(len(recorded()))
        elif name != "confirm":
            await self._go_through(name)

    async def _go_through(self, name: str) -> None:
        for _ in range(_TABS.get(name, 0)):
            await self.pilot.press("tab")
            self.look()
        dialogs = {"hosts": ("f1", "ctrl+p", "a", "v")}.get(name, ())
        for key in dialogs:
            if key in ("a", "v"):
                self.wizard.screen.query_one("HostTable").focus()
            await self.pilot.press(key)
            await self._until(lambda: isinstance(self.wizard.screen, ModalScreen))
            self.look()
            for follows in ("tab", "down"):
                await self.pilot.press(follows)
                self.look()
            await self.pilot.press("escape")
            await self._until(lambda: not isinstance(self.wizard.screen, ModalScreen))

    async def _until(self, condition: Any) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            await self.pilot.pause()


@pytest.mark.parametrize("theme", THEMES)
async def test_all_that_is_drawn_can_be_read(
    folder: Path, theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NO_COLOR", raising=False)
    (folder / "how-to.toml").write_text((DEMO / "how-to.toml").read_text())
    events = recorded()
    backend = HeldBackend(events)
    wizard = Wizard(Settings(backend=lambda *_: backend, clock=lambda: events[-1].t))
    async with wizard.run_test(size=(100, 30)) as pilot:
        reader = Reader(wizard, pilot)
        wizard.theme = theme
        await pilot.pause()
        reader.look()
        await pilot.press("down", "enter")
        await walk(pilot, reader.seen)
    assert reader.looks > 40
    assert not reader.bad, "\n".join(sorted(reader.bad))
