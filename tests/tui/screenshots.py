"""``make screenshots``: each screen of the demo, in both languages, as SVG.

The pictures come from the walk that ``k3s-tui demo --autoplay`` takes, with the clock held, so
that the same sources draw the same pictures: a test compares them.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

from textual.widgets import Input

from k3s_tui.core.events import AnyEvent, StepStarted
from k3s_tui.engine.plan import Plan
from k3s_tui.profile.model import Profile
from k3s_tui.tui import glyphs, language
from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.autoplay import walk
from k3s_tui.tui.replay import DEMO, Recorded, Replay, recorded

FOLDER = Path(__file__).parents[2] / "screenshots"
SIZE = (100, 30)
_UNTIL = "k3s-server-1/servers/ready"
"""The step at whose beginning the run is shown; a run that ends before, in its middle."""

_MOVING = ("hosts", "certificates", "datastore", "plan", "run", "finish")
_SECONDS = 3
"""For how long the moving picture shows each of these."""

_IDS = re.compile(r"terminal-\d+-")


class Held(Replay):
    """A recording that waits to be told to go on, and whose clock is its own."""

    @property
    def running(self) -> bool:
        return self._at < len(self._events)

    def start(self) -> None:
        starts = (
            at
            for at, event in enumerate(self._events)
            if isinstance(event, StepStarted) and event.step == _UNTIL
        )
        self.forward(next(starts, len(self._events) // 2) + 1)


class HeldBackend(Recorded):
    def start(self, profile: Profile, reviewed: Plan, *, allow_restart: bool) -> Held:
        run = Held(self._events)
        run.start()
        return run


async def draw(
    code: str, events: Sequence[AnyEvent], profile: Path = Path(str(DEMO / "how-to.toml"))
) -> dict[str, str]:
    """Every screen's SVG by the name of its file, in one language: of a profile and of a run."""
    language.use(code)
    glyphs.use_ascii(False)
    pictures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("how-to.toml").write_text(profile.read_text())
        backend = HeldBackend(events)
        wizard = Wizard(
            Settings(
                backend=lambda *_: backend,
                clock=lambda: _now(wizard, events),
            )
        )

        async with wizard.run_test(size=SIZE) as pilot:

            async def seen(name: str) -> None:
                number = len(pictures) + 1
                for field in wizard.screen.query(Input):
                    field.cursor_blink = False  # a picture has it, always
                svg = before = ""
                while not svg or svg != before:  # until nothing moves any more
                    before = svg
                    await pilot.pause(0.2)
                    svg = wizard.export_screenshot(title="k3s-tui")
                pictures[f"{number:02}-{name}.{code}.svg"] = _IDS.sub("terminal-", svg)
                run = wizard.run_controller
                if name == "run" and isinstance(run, Held):
                    run.forward(len(events))

            await seen("welcome")
            await pilot.press("down", "enter")
            await walk(pilot, seen)
    return pictures


def _now(wizard: Wizard, events: Sequence[AnyEvent]) -> float:
    run = wizard.run_controller
    return run.progress.now if run is not None and run.progress.now else events[0].t


def all_pictures() -> dict[str, str]:
    os.environ["TZ"] = "UTC"
    time.tzset()
    os.environ["COLORTERM"] = "truecolor"
    os.environ.pop("SSH_CONNECTION", None)
    os.environ.pop("NO_COLOR", None)
    events = recorded()
    pictures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as home:
        for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            os.environ[name] = home
        for code in language.LANGUAGES:
            drawn = asyncio.run(draw(code, events))
            moving = [svg for name, svg in drawn.items() if name[3:].partition(".")[0] in _MOVING]
            pictures |= {**drawn, f"demo.{code}.svg": animated(moving)}
    language.use("en")
    return pictures


def animated(pictures: Sequence[str]) -> str:
    """One picture that shows each of them for a while, by CSS alone."""
    seconds, each = _SECONDS * len(pictures), 100 / len(pictures)
    frames: list[str] = []
    rules = [
        f".frame {{ opacity: 0; animation: show {seconds}s step-end infinite }}",
        f"@keyframes show {{ 0% {{ opacity: 1 }} {each:.2f}% {{ opacity: 0 }} }}",
    ]
    for number, svg in enumerate(pictures):
        # Styles of a picture hold for all that it is put into: each gets names of its own.
        inner = svg.replace("terminal-", f"frame{number}-")
        rules.append(f".frame{number} {{ animation-delay: {number * _SECONDS}s }}")
        frames.append(f'<g class="frame frame{number}">{inner}</g>')
    view = re.search(r'viewBox="([^"]+)"', pictures[0])
    assert view is not None
    return (
        f'<svg viewBox="{view[1]}" xmlns="http://www.w3.org/2000/svg">'
        f"<style>{' '.join(rules)}</style>{''.join(frames)}</svg>\n"
    )


def main() -> None:
    pictures = all_pictures()
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.svg"):
        old.unlink()
    for name, svg in pictures.items():
        (FOLDER / name).write_text(svg)
    print(f"{len(pictures)} pictures in {FOLDER.name}/")


if __name__ == "__main__":
    main()
