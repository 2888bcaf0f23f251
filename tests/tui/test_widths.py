"""In every language, the rows that cannot be scrolled fit: all of them at the design size of 80
columns, the keys that tell of all others at 60.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.widgets import Button

from k3s_tui.tui import language
from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.autoplay import walk
from k3s_tui.tui.language import _
from k3s_tui.tui.replay import DEMO, recorded
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.labelled import Labelled
from tests.tui.screenshots import Held, HeldBackend

SIZES = ((80, 24), (60, 15))


def cut(wizard: Wizard) -> Iterator[str]:
    """What does not fit where it stands."""
    screen = wizard.screen
    columns = wizard.size.width
    for bar in screen.query(KeyBar):
        yield from _missing(bar, all_of_them=columns >= 80)
    for button in screen.query(Button):
        # A compact button has a blank on each side.
        wanted = cell_len(str(button.label)) + 2
        region = button.region
        if button.display and region and (region.width < wanted or region.right > columns):
            yield f"button {str(button.label)!r} in {region}"
    for field in screen.query(Labelled):
        text, room = _(field.label), field.children[0].styles.margin.left
        if cell_len(text) >= room:
            yield f"label {text!r} in {room} columns"


def _missing(bar: KeyBar, *, all_of_them: bool) -> Iterator[str]:
    """Keys that are not told, or told in part."""
    line = bar.render().plain.rstrip()
    if cell_len(line) > bar.size.width:
        yield f"keys of {cell_len(line)} columns"
    for active in bar.screen.active_bindings.values():
        binding = active.binding
        told = f"{bar.app.get_key_display(binding)} {binding.description}"
        needed = binding.action in ("help", "next") and binding.key_display
        if (needed or (all_of_them and binding.show)) and told not in line:
            yield f"{told!r} not in {line!r}"
    if not isinstance(bar.screen, Dialog) and "^p " not in line:
        yield f"no palette in {line!r}"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("code", list(language.LANGUAGES))
async def test_nothing_is_cut(
    folder: Path, code: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "how-to.toml").write_text((DEMO / "how-to.toml").read_text())
    language.use(code)
    events = recorded()
    backend = HeldBackend(events)
    wizard = Wizard(Settings(backend=lambda *_: backend, clock=lambda: events[-1].t))
    found: dict[str, list[str]] = {}
    async with wizard.run_test(size=size) as pilot:

        async def seen(name: str) -> None:
            await pilot.pause()
            found[name] = list(cut(wizard))
            run = wizard.run_controller
            if isinstance(run, Held) and name == "run":
                run.forward(len(events))

        await seen("welcome")
        await pilot.press("down", "enter")
        await walk(pilot, seen)
    assert "finish" in found
    assert not any(found.values()), {name: told for name, told in found.items() if told}
