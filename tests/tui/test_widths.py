"""In every language, the rows that cannot be scrolled fit the design size of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.widgets import Button, Footer, Label

from k3s_tui.tui import language
from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.autoplay import walk
from k3s_tui.tui.replay import DEMO, recorded
from tests.tui.screenshots import Held, HeldBackend

SIZE = (80, 24)


def cut(wizard: Wizard) -> Iterator[str]:
    """What does not fit where it stands."""
    screen = wizard.screen
    for footer in screen.query(Footer):
        if footer.virtual_size.width > SIZE[0]:
            yield f"footer of {footer.virtual_size.width} columns"
    for button in screen.query(Button):
        # A compact button has a blank on each side.
        wanted = cell_len(str(button.label)) + 2
        region = button.region
        if button.display and region and (region.width < wanted or region.right > SIZE[0]):
            yield f"button {str(button.label)!r} in {region}"
    for label in screen.query(Label).filter(".label"):
        text = str(label.content)
        if label.region and label.size.height > 1:
            yield f"label {text!r} in {label.region}"


@pytest.mark.parametrize("code", list(language.LANGUAGES))
async def test_nothing_is_cut(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "how-to.toml").write_text((DEMO / "how-to.toml").read_text())
    language.use(code)
    events = recorded()
    backend = HeldBackend(events)
    wizard = Wizard(Settings(backend=lambda *_: backend, clock=lambda: events[-1].t))
    found: dict[str, list[str]] = {}
    async with wizard.run_test(size=SIZE) as pilot:

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
