"""Real signals to a real process, in their three stages."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from k3s_tui.core.errors import Exit
from tests.unit.headless.operator import PATIENCE, environment, python

STAGES = """
import asyncio, signal, sys
# As from a shell, however these tests were started themselves.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from k3s_tui.core.errors import OperatorError
from k3s_tui.headless import interrupts

async def work(stops):
    stopping = asyncio.Event()
    def stop(count):
        print("signal", count, flush=True)
        stopping.set()
        return True
    stops.stop = stop
    print("running", flush=True)
    await stopping.wait()
    if "hang" in sys.argv:
        await asyncio.sleep(3600)
    stops.stop = lambda count: False
    stops.touched = True
    if "after" in sys.argv:
        print("closing", flush=True)
        await asyncio.sleep(3600)
    return "ended well"

async def looking(stops):
    print("looking", flush=True)
    await asyncio.sleep(3600)

try:
    print(interrupts.run(looking if "looking" in sys.argv else work))
except OperatorError as error:
    print(error, flush=True)
    sys.exit(int(error.exit))
"""


@contextmanager
def running(state: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", STAGES, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(state),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def reads(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout
    assert process.stdout.readline() == f"{line}\n"


def test_the_first_lets_the_work_end(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        reads(process, "running")
        process.send_signal(signal.SIGINT)
        reads(process, "signal 1")
        reads(process, "ended well")
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_three_stages(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "hang") as process:
        reads(process, "running")
        process.send_signal(number)
        reads(process, "signal 1")
        process.send_signal(number)
        reads(process, "signal 2")
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == Exit.INTERRUPTED
        assert out == ""
        assert err.startswith("left at once; what was under way on the hosts may end")


def test_one_is_enough_while_nothing_is_changed(tmp_path: Path) -> None:
    with running(tmp_path, "looking") as process:
        reads(process, "looking")
        process.send_signal(signal.SIGINT)
        reads(process, "interrupted before anything was changed")
        assert process.wait(PATIENCE) == Exit.INTERRUPTED


def test_it_does_not_say_that_nothing_was_changed_when_something_was(tmp_path: Path) -> None:
    with running(tmp_path, "after") as process:
        reads(process, "running")
        process.send_signal(signal.SIGINT)
        reads(process, "signal 1")
        reads(process, "closing")
        process.send_signal(signal.SIGINT)
        reads(process, "interrupted")
        assert process.wait(PATIENCE) == Exit.INTERRUPTED


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_is_ignored_stays_ignored(tmp_path: Path, number: signal.Signals) -> None:
    """Under nohup, or in the background of a script."""
    script = f"""
import signal
signal.signal({int(number)}, signal.SIG_IGN)
from k3s_tui.headless import interrupts
async def work(_):
    return signal.getsignal({int(number)}) is signal.SIG_IGN
print(interrupts.run(work))
"""
    assert python("-c", script, state=tmp_path).out == "True\n"
