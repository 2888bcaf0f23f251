"""Starting the wizard, and ending it in peace: the terminal is left as it was, the run is not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LEAKS = ("TEXTUAL", "TEXTUAL_LOG", "TEXTUAL_DEBUG", "TEXTUAL_SCREENSHOT", "TEXTUAL_DRIVER")
for _name in _LEAKS:
    # Read when textual is imported.  Its log holds every key: passwords, too.
    os.environ.pop(_name, None)

from k3s_tui.tui import glyphs, language  # noqa: E402
from k3s_tui.tui.app import Settings, Wizard  # noqa: E402


@dataclass(frozen=True)
class Looks:
    """How the wizard is to look; `lang` is None for the terminal's own language."""

    lang: str | None = None
    ascii: bool = False
    no_mouse: bool = False


def start(
    profile: Path | None = None, *, passphrase_file: Path | None = None, looks: Looks = Looks()
) -> int:
    """Run the wizard on this terminal.  Returns the exit code.

    A run that is under way when the terminal goes away (SIGHUP) is carried on without it; SIGTERM
    ends it gently first.  Either way the next run resumes.  Raises ProfileInvalid for a profile
    that cannot be read at all.
    """
    choice = language.choose(looks.lang, os.environ)
    language.use(choice.code)
    glyphs.use_ascii(looks.ascii)
    settings = Settings(
        profile,
        passphrase_file=passphrase_file,
        notes=(choice.note,) if choice.note else (),
    )
    return asyncio.run(_run(Wizard(settings), mouse=not looks.no_mouse))


async def _run(app: Wizard, mouse: bool) -> int:
    ended: list[int] = []

    def leave(number: signal.Signals) -> None:
        ended.append(number)
        app.ask.gone = True
        controller = app.run_controller
        if controller is not None and controller.running and number == signal.SIGTERM:
            controller.stop()
        app.exit(128 + number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, leave, number)
    code = await app.run_async(mouse=mouse)
    controller = app.run_controller
    if controller is not None and controller.running:
        _say(f"the run goes on without a screen; its log is {controller.path}")
        await controller.wait()
    for bug in (app.crash, controller and controller.error):
        if bug is not None:
            raise bug
    if signal.SIGHUP in ended and controller is not None and controller.progress.done:
        return controller.progress.done.exit
    return code or 0


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print(text, file=sys.stderr, flush=True)
