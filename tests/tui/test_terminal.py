"""The wizard in a real terminal: how it starts, and how it leaves it, whatever ends it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from k3s_tui.tui.app import Settings, Wizard
from k3s_tui.tui.terminal import Lasting
from k3s_tui.tui.terminal import Terminal as TerminalDriver
from tests.ssh.processes import eventually
from tests.tui.operator import how_to
from tests.tui.terminal import PATIENCE, Terminal, terminal

WIZARD = (sys.executable, "-m", "k3s_tui")
ENV = {"PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 15), (20, 5)])
def test_it_starts_and_ends(folder: Path, size: tuple[int, int]) -> None:
    how_to(folder)
    with terminal([*WIZARD, "how-to.toml"], folder, size=size, env=ENV) as tty:
        tty.until("k3s-tui")
        assert not tty.is_sane()
        tty.press("C-q")
        assert tty.exit_status() == 0
        assert tty.is_sane()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_a_sane_terminal(folder: Path, number: signal.Signals, status: int) -> None:
    with terminal([*WIZARD, how_to(folder)], folder, env=ENV) as tty:
        tty.until("k3s-server-1")
        tty.send(number)
        assert tty.exit_status() == status
        assert tty.is_sane()


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_terminal_that_goes_away_takes_the_wizard_along(folder: Path) -> None:
    """Its hang-up sends SIGCONT, too, at which Textual would begin to read a second time."""
    with terminal([*WIZARD, how_to(folder)], folder, env=ENV) as tty:
        tty.until("k3s-server-1")
        tty.press("F3")
        tty.until("certificate authority")
        before, pid = threads(tty.pid), tty.pid
        tty.send(signal.SIGCONT)
        tty.press("F4")
        tty.until("Database")
        assert threads(pid) <= before
        tty.close()
        await eventually(lambda: is_gone(pid), within=PATIENCE)


def test_what_nobody_gets_any_more_is_dropped() -> None:
    """Textual's writer ends with an error, and what is written to it then waits for ever."""
    theirs, ours = pty.openpty()
    os.close(theirs)
    file = os.fdopen(ours, "w")
    writer = WriterThread(cast(Any, Lasting(file)))
    writer.start()
    for _ in range(2 * MAX_QUEUED_WRITES):
        writer.write("gone")
    writer.stop()
    assert not writer.is_alive()
    with suppress(OSError):
        file.close()


def test_the_wizard_draws_on_such_a_terminal() -> None:
    assert Wizard(Settings()).get_driver_class() is TerminalDriver


def to_the_run(tty: Terminal) -> None:
    """Through the demo, to where its recording plays."""
    for title in ("Hosts", "Certs", "Datastore", "Servers", "Balancer", "Agents"):
        tty.until(f" {title}]")
        tty.press("C-n")
    tty.until("Nothing was looked at yet")
    tty.press("Enter")
    tty.until("to change")
    tty.press("C-n")
    tty.until("Start?")
    tty.press("Tab", "Enter")
    tty.until("datastore")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_a_run_too(folder: Path, number: signal.Signals) -> None:
    """After a lost terminal the run goes on to its end; a gentle end interrupts it."""
    with terminal([*WIZARD, "demo"], folder, env=ENV) as tty:
        to_the_run(tty)
        tty.send(number)
        status = tty.exit_status(within=90)
        assert tty.is_sane()
        assert ("the run goes on without a screen" in tty.screen) == (number == signal.SIGHUP)
        assert status == (0 if number == signal.SIGHUP else 143)


def test_a_crash_leaves_a_sane_terminal_and_no_values(folder: Path) -> None:
    code = (
        "import sys\n"
        "from k3s_tui.tui import app\n"
        "def crash(self):\n"
        "    secret = 'hunter2-in-a-variable'\n"
        "    raise RuntimeError('boom')\n"
        "app.Wizard.action_save = crash\n"
        "sys.argv = ['k3s-tui', 'how-to.toml']\n"
        "from k3s_tui.cli import main\n"
        "main()\n"
    )
    how_to(folder)
    with terminal([sys.executable, "-c", code], folder, env={**ENV, "TMPDIR": str(folder)}) as tty:
        tty.until("k3s-server-1")
        tty.press("C-s")
        assert tty.exit_status() == 70
        assert tty.is_sane()
        assert "this is a bug in k3s-tui (RuntimeError)" in tty.screen
        assert "hunter2" not in tty.screen
        (report,) = folder.glob("k3s-tui-bug-*.txt")
        assert "action_save" in (text := report.read_text()) or "crash" in text
        assert "hunter2" not in text


def test_without_a_terminal_it_names_the_other_way(folder: Path) -> None:
    done = subprocess.run(
        [*WIZARD, how_to(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=ENV,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "the wizard needs a terminal" in done.stderr
    assert "k3s-tui apply" in done.stderr
    assert done.stdout == ""


def test_keys_are_not_written_down_by_textual(folder: Path) -> None:
    """Its log would hold every key that is pressed, passwords included."""
    log = folder / "textual.log"
    env = {**ENV, "TEXTUAL_LOG": str(log), "TEXTUAL": "debug,devtools"}
    with terminal([*WIZARD, how_to(folder)], folder, env=env) as tty:
        tty.until("k3s-server-1")
        tty.press("C-n")
        tty.until("2 Certs]")
        tty.press("C-q")
        assert tty.exit_status() == 0
    assert not log.exists()


def test_nothing_that_textual_reads_from_its_surroundings_is_heeded(folder: Path) -> None:
    """It would press keys by itself, or leave words on the terminal."""
    env = {**ENV, "TEXTUAL_PRESS": "ctrl+q", "TEXTUAL_SHOW_RETURN": "1", "TEXTUAL_FPS": "1"}
    with terminal([*WIZARD, how_to(folder)], folder, env=env) as tty:
        tty.until("k3s-server-1")
        tty.press("C-n")
        tty.until("2 Certs]")
        tty.press("C-q")
        assert tty.exit_status() == 0
        assert "return" not in tty.screen


_COLOUR = re.compile(r"[34]8;2;(\d+);(\d+);(\d+)|[34]8;5;\d+|(?<![\d;])(?:[34]|9|10)[0-7](?![\d;])")
"""A colour that a terminal is told: of 16 millions, of 256, or of the 16."""


def has_hues(drawn: str) -> bool:
    """Whether anything is drawn in a colour that is no shade of grey."""
    told = _COLOUR.finditer("\n".join(re.findall(r"\x1b\[([0-9;]*)m", drawn)))
    return any(colour[1] is None or len({colour[1], colour[2], colour[3]}) > 1 for colour in told)


@pytest.mark.parametrize("unwanted", [True, False])
def test_no_colour_where_none_is_wanted(folder: Path, unwanted: bool) -> None:
    env = {**ENV, "COLORTERM": "truecolor", **({"NO_COLOR": "1"} if unwanted else {})}
    with terminal([*WIZARD, how_to(folder)], folder, env=env) as tty:
        tty.until("k3s-server-1")
        assert has_hues(tty.drawn) != unwanted
        tty.press("C-n")
        tty.until("2 Certs]")
        assert has_hues(tty.drawn) != unwanted
        tty.press("C-q")
        assert tty.exit_status() == 0


def test_chinese_and_where_it_cannot_be_shown(folder: Path) -> None:
    profile = how_to(folder)
    with terminal([*WIZARD, profile], folder, env={**ENV, "LANG": "zh_CN.UTF-8"}) as tty:
        tty.until("主机")
        tty.press("C-q")
        assert tty.exit_status() == 0
    again = folder / "again"
    again.mkdir()
    with terminal(
        [*WIZARD, profile], again, env={**ENV, "LANG": "zh_CN.UTF-8"}, term="linux"
    ) as tty:
        tty.until("Hosts")
        tty.until("Linux console")


def test_ascii_alone(folder: Path) -> None:
    with terminal([*WIZARD, "--ascii", how_to(folder)], folder, env=ENV) as tty:
        tty.until("k3s-server-1")
        assert tty.screen.isascii()
        tty.press("C-p")
        tty.type("Language")
        tty.until("Language: zh_CN")


def test_the_demo_presses_its_keys_itself(folder: Path) -> None:
    with terminal([*WIZARD, "demo", "--autoplay"], folder, env=ENV) as tty:
        tty.until("1 Hosts]")
        tty.until("DEMO: a recording, no hosts")
        tty.until("3 Datastore]")
        tty.press("C-q")
        assert tty.exit_status() == 0


def test_where_there_can_be_no_lab_its_demo_is_a_recording(folder: Path) -> None:
    """`make demo`, and `demo --lab`: it says why, and looks as it was told to."""
    (folder / "bin").mkdir()
    env = {**ENV, "PATH": str(folder / "bin")}
    shown = [*WIZARD, "--lang=zh_CN", "demo", "--lab", "--autoplay"]
    with terminal(shown, folder, env=env) as tty:
        tty.until("1 主机]")
        tty.until("3 数据存储]")
        tty.press("C-q")
        assert tty.exit_status() == 0
        assert "the lab needs Debian" in tty.screen
        assert "a recording of a real run is shown instead" in tty.screen
    with terminal([*WIZARD, "--ascii", "demo", "--lab"], folder, env=env) as tty:
        assert tty.until("1 Hosts]").isascii()
