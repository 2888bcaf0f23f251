"""Starting the wizard, and ending it in peace: the terminal is left as it was, the run is not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path

for _name in [name for name in os.environ if name == "TEXTUAL" or name.startswith("TEXTUAL_")]:
    # Read when textual is imported.  Its log holds every key, passwords too; others press keys.
    del os.environ[_name]

from textual.app import AutopilotCallbackType  # noqa: E402

from k3s_tui.core.errors import Exit  # noqa: E402
from k3s_tui.tui import glyphs, kept, language  # noqa: E402
from k3s_tui.tui.app import Settings, Wizard  # noqa: E402
from k3s_tui.tui.autoplay import walk  # noqa: E402
from k3s_tui.tui.language import _  # noqa: E402


@dataclass(frozen=True)
class Looks:
    """How the wizard is to look; `lang` is None for the terminal's own language."""

    lang: str | None = None
    ascii: bool = False
    no_mouse: bool = False


def start(
    profile: Path | None = None,
    *,
    passphrase_file: Path | None = None,
    looks: Looks = Looks(),
    autoplay: bool = False,
) -> int:
    """Run the wizard on this terminal.  Returns the exit code.

    With `autoplay` it presses its keys itself, the one that changes hosts too: for the lab.

    A run that is under way when the terminal goes away (SIGHUP) is carried on without it; SIGTERM
    ends it gently first.  Either way the next run resumes.  Raises ProfileInvalid for a profile
    that cannot be read at all.
    """
    notes = _prepare(looks)
    wizard = Wizard(Settings(profile, passphrase_file=passphrase_file, notes=notes))
    return asyncio.run(_run(wizard, looks, walk if autoplay else None))


def demo(*, autoplay: bool = False, looks: Looks = Looks()) -> int:
    """Run the wizard over a recording of a real run, in a folder that is deleted afterwards.

    With `autoplay` it presses its keys itself.
    """
    from k3s_tui.tui.replay import DEMO, Recorded, recorded

    notes = _prepare(looks)
    events = recorded()
    with tempfile.TemporaryDirectory(prefix="k3s-tui-demo-") as folder, chdir(folder):
        profile = Path("how-to.toml")
        profile.write_text((DEMO / "how-to.toml").read_text())
        settings = Settings(profile, backend=lambda *_: Recorded(events), notes=notes)
        return asyncio.run(_run(Wizard(settings), looks, walk if autoplay else None))


def _prepare(looks: Looks) -> tuple[str, ...]:
    """Choose language and glyphs; returns what there is to say about it."""
    remembered = "" if os.environ.get("K3S_TUI_LANG") else kept.preferences().language
    choice = language.choose(looks.lang or remembered, os.environ, ascii=looks.ascii)
    language.use(choice.code)
    glyphs.use_ascii(looks.ascii)
    return (choice.note,) if choice.note else ()


async def _run(app: Wizard, looks: Looks, pilot: AutopilotCallbackType | None = None) -> int:
    ended: list[int] = []

    def leave(number: signal.Signals) -> None:
        ended.append(number)
        app.ask.gone = True
        app.keep_draft()
        controller = app.run_controller
        if controller is not None and controller.running and number == signal.SIGTERM:
            controller.stop()
        app.exit(128 + number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, leave, number)
    code = await app.run_async(mouse=not looks.no_mouse, auto_pilot=pilot)
    if app.abandoned:
        _say(_("left at once; what was under way on the hosts may end by itself or not at all"))
        os._exit(Exit.INTERRUPTED)
    controller = app.run_controller
    if controller is not None and controller.running:
        where = f"; its log is {controller.path}" if controller.path else ""
        told = "the run goes on without a screen"
        if controller.stopping:
            told = "what is under way ends first"
        _say(f"{told}{where}")
        await controller.wait()
    bug = app.crash or (controller.error if controller is not None else None)
    if bug is not None:
        raise bug
    if signal.SIGHUP in ended and controller is not None and controller.progress.done:
        return controller.progress.done.exit
    return code or 0


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print(text, file=sys.stderr, flush=True)
