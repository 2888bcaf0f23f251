"""The run screen under load, on a real terminal (a pty of 120x40) that an operator types at.

Two processes: the wizard with a run that talks too much, and here the operator, who presses keys
and reads what the terminal gets.  `python -m benchmarks.log_pane`; K3S_TUI_BENCH_SECONDS shortens
the minute of load.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = float(os.environ.get("K3S_TUI_BENCH_SECONDS", "60"))
HOSTS = [f"node-{n}" for n in range(10)]
RATE, BURST, STEPS = 2000, 20_000, 6
TICK = 0.02
TOOL = Path(sys.executable).with_name("k3s-tui")

_ESCAPES = re.compile(
    rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[P_^].*?\x1b\\|.)", re.S
)

KEYS = (
    (b"\x1b[A", r"line \d+ of"),
    (b"f", "following"),
    (b"1", "Log: node-0,"),
    (b"0", "Log: all hosts,"),
    (b"\x1b[5~", r"line \d+ of"),
    (b"\x1b[F", "following"),
)
"""Keys that show another part of the log, and what the terminal must get then."""

STEP_KEYS = (
    ("Hosts", b"\x1bOQ"),
    ("Certs", b"\x1bOR"),
    ("Datastore", b"\x1bOS"),
    ("Servers", b"\x1b[15~"),
    ("Balancer", b"\x1b[17~"),
    ("Agents", b"\x1b[18~"),
    ("Review", b"\x1b[19~"),
)
"""The wizard's steps, and the keys that lead there."""

_REST = 0.25
"""Seconds without a byte after which a screen is whole: what blinks does so more slowly."""


def main() -> None:
    _first_paint()
    with tempfile.TemporaryDirectory() as folder:
        result, delays, written = _load(Path(folder))
        _tell_load(result, delays, written)


# --- the operator ---------------------------------------------------------------------------------


@dataclass
class Terminal:
    """A process on a terminal of its own."""

    pid: int
    fd: int
    told: bytearray = field(default_factory=bytearray)
    written: int = 0

    def read(self, seconds: float) -> bool:
        """Take what the terminal gets within this time; False when nothing came."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.told += data
        self.written += len(data)
        return bool(data)

    def until(self, text: str, seconds: float) -> float | None:
        """Seconds until this is seen of what comes from now on; None when it does not come."""
        self.told.clear()
        pattern = re.compile(text.encode())
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            if self.read(seconds - passed) and pattern.search(_ESCAPES.sub(b"", self.told)):
                return time.perf_counter() - began
        return None

    def settle(self, key: bytes, text: str) -> float:
        """Seconds from a key that shows `text` to the last of what it draws."""
        took = self.press(key, re.escape(text))
        began = last = time.perf_counter()
        while self.read(_REST):
            last = time.perf_counter()
        return took + last - began

    def press(self, key: bytes, text: str) -> float:
        """Seconds from a key to what it changes."""
        while self.read(0):
            pass
        os.write(self.fd, key)
        took = self.until(text, 10)
        assert took is not None, f"{key!r} does not bring {text!r}: {bytes(self.told[-2000:])!r}"
        return took


@contextmanager
def terminal(*words: str | Path, folder: Path, keep: tuple[int, ...] = ()) -> Iterator[Terminal]:
    """Start a command on a terminal of 120x40, in this folder and with it as home."""
    for fd in keep:
        os.set_inheritable(fd, True)
    python_path = str(Path(__file__).parents[1])
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        os.chdir(folder)
        home = str(folder)
        environ = {
            "HOME": home,
            "XDG_STATE_HOME": home,
            "XDG_CONFIG_HOME": home,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": python_path,
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "K3S_TUI_BENCH_SECONDS": str(SECONDS),
        }
        os.execve(words[0], [str(word) for word in words], environ)
    child = Terminal(pid, fd)
    try:
        yield child
    finally:
        os.kill(pid, signal.SIGTERM)
        while child.read(5):
            pass
        os.waitpid(pid, 0)
        os.close(fd)


def _first_paint() -> None:
    paints, opened = [], []
    changes: dict[str, list[float]] = {}
    example = Path(__file__).parents[1] / "docs" / "examples" / "how-to.toml"
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(example, folder)
            with terminal(TOOL, folder=Path(folder)) as welcome:
                paints.append(welcome.until("k3s-tui", 20) or 20)
            with terminal(TOOL, "how-to.toml", folder=Path(folder)) as wizard:
                opened.append(wizard.until("k3s-tui", 20) or 20)
                while wizard.read(0.5):
                    pass
                for step in (*range(2, 8), *range(6, 0, -1)):
                    title, key = STEP_KEYS[step - 1]
                    took = wizard.settle(key, f"[{step} {title}]")
                    changes.setdefault(title, []).append(took)
    for what, times in (("k3s-tui", paints), ("k3s-tui PROFILE", opened)):
        spread = f"{min(times):.2f}-{max(times):.2f}"
        _judge(f"{what}, first paint, median", statistics.median(times), 0.8, "s", spread)
    for title, times in changes.items():
        spread = f"max {max(times) * 1000:.0f}, n={len(times)}"
        middle = statistics.median(times) * 1000
        _judge(f"to {title}, its whole screen, median", middle, 150, "ms", spread)


def _load(folder: Path) -> tuple[dict[str, Any], list[float], int]:
    """Type at a run that says 2,000 lines a second.

    Returns what the wizard measured of itself, each key's seconds, and the bytes it wrote to the
    terminal meanwhile.
    """
    told, tell = os.pipe()
    command = (sys.executable, "-m", "benchmarks.log_pane", "wizard", str(tell))
    delays: list[float] = []
    dice = random.Random(3)
    with terminal(*command, folder=folder, keep=(tell,)) as screen, os.fdopen(told) as results:
        os.close(tell)
        _watch(screen, told)
        assert results.readline() == "loaded\n"
        screen.press(b"l", "following")
        before, ends = screen.written, time.monotonic() + SECONDS
        for key, text in itertools.cycle(KEYS):
            pause = time.monotonic() + dice.uniform(0.5, 1.5)
            while (left := pause - time.monotonic()) > 0:
                screen.read(left)
            if time.monotonic() > ends - 1:
                break
            delays.append(screen.press(key, text))
        written = screen.written - before
        _watch(screen, told)
        result: dict[str, Any] = json.loads(results.readline())
        result["lost"] = _lost(Path(result["file"]), result["said"])
    return result, delays, written


def _watch(screen: Terminal, pipe: int) -> None:
    """Read the screen until the wizard says something of itself."""
    while not select.select([pipe], [], [], 0)[0]:
        screen.read(0.1)


def _lost(file: Path, said: int) -> int:
    """Lines that are not in the file where and as they should be."""
    numbers = []
    for record in map(json.loads, file.read_text().splitlines()):
        if record["type"] == "line":
            numbers.append(int(record["text"].rsplit("=", 1)[1]))
    assert numbers == sorted(numbers), "the order of lines"
    return said - len(set(numbers))


def _tell_load(result: dict[str, Any], delays: list[float], written: int) -> None:
    ordered = sorted(delays)
    half, most = statistics.median(ordered), ordered[int(0.95 * len(ordered))]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"  {result['said']} lines from {len(HOSTS)} hosts, {result['rate']:.0f} a second for "
        f"{result['seconds']:.0f} s, {result['kept']} kept; load now {load}"
    )
    _judge(
        "key press to change, p95",
        most * 1000,
        100,
        "ms",
        f"p50 {half * 1000:.0f}, n={len(ordered)}",
    )
    late, cpu = result["stall"]
    _judge("longest stall of the loop", late * 1000, 250, "ms", f"{cpu * 1000:.0f} of them CPU")
    _judge(
        "share of one core",
        100 * result["cpu"] / result["seconds"],
        25,
        "%",
        f"{result['cpu']:.1f} CPU s",
    )
    _judge("resident, at most", result["rss"] / 2**20, 120, "MiB")
    _judge("to the terminal", written / result["seconds"] / 1000, 120, "kB/s")
    took = result["burst"]
    _judge(f"{BURST} lines in {took:.2f} s: lost in the file", result["lost"], 0, "lines")
    late, cpu = result["burst_stall"]
    what = f"{BURST} lines in {took:.2f} s: longest stall"
    _judge(what, late * 1000, 300, "ms", f"{cpu * 1000:.0f} of them CPU")


def _judge(what: str, value: float, goal: float, unit: str, more: str = "") -> None:
    met = "met" if value <= goal else "NOT MET"
    digits = 2 if unit == "s" else 0
    figure = f"{value:8.{digits}f} {unit:5}"
    print(f"{what:52} {figure} {f'({more})' if more else '':18} goal {goal:g}  {met}")


# --- the wizard -----------------------------------------------------------------------------------


def wizard(tell: int) -> None:
    """Be the wizard on this terminal, with a run that talks too much; tell what it cost."""
    from k3s_tui.tui.app import Settings, Wizard

    app = Wizard(Settings(folder=Path.cwd()))
    run = _flood(Path.cwd())

    async def drive(pilot: Any) -> None:
        app.follow(run)
        await pilot.pause()
        with os.fdopen(tell, "w") as results:
            await run.prefill()
            print("loaded", file=results, flush=True)
            print(json.dumps(await run.measure()), file=results, flush=True)

    asyncio.run(app.run_async(auto_pilot=drive))


def _flood(folder: Path) -> Any:
    from k3s_tui.core import events
    from k3s_tui.core.events import AnyEvent, Line
    from k3s_tui.core.secret import Redactor, Secret
    from k3s_tui.engine.record import Recorder
    from k3s_tui.tui.progress import Progress
    from k3s_tui.tui.widgets.log_buffer import PER_HOST, LogBuffer

    class Flood:
        """What a run screen watches; the recorder, the fold and the buffer are the real ones."""

        path: Path | None
        error: Exception | None = None
        stopping = ""
        running = True

        def __init__(self) -> None:
            self.progress, self.log = Progress(), LogBuffer()
            self.said = 0
            secrets = [Secret(f"wrong-horse-battery-{n}") for n in range(5)]
            self.emit = Recorder(folder / "run", Redactor(secrets))
            self.emit.subscribe(self._read)
            self.path = self.emit.path
            self._stall = (0.0, 0.0)

        def _read(self, event: AnyEvent) -> None:
            self.progress(event)
            if isinstance(event, Line):
                self.log.add(event)

        async def journal(self, host: str) -> str:
            return ""

        async def prefill(self) -> None:
            """As many lines as are kept, so that all is measured where it is worst."""
            names = [f"{host}/agents/step-{n}" for host in HOSTS for n in range(STEPS)]
            self.emit(events.RunStarted(tool="0", run="r", verb="apply", profile="p", hosts=HOSTS))
            for name in names:
                self.emit(events.Planned(step=name, host=name.split("/")[0], verdict="change"))
            while self.log.kept < PER_HOST * len(HOSTS):
                self._say(500)
                await asyncio.sleep(0.01)

        def _say(self, count: int) -> None:
            for _ in range(count):
                host = HOSTS[self.said % len(HOSTS)]
                level = "error" if self.said % 997 == 0 else "info"
                self.emit(
                    Line(
                        step=f"{host}/agents/step-{self.said // 5000 % STEPS}",
                        host=host,
                        text=f'time="2026-11-23T02:15:00Z" level={level} msg="Applying CRD '
                        f'helmcharts.helm.cattle.io, controller=[addons] 中文" n={self.said}',
                    )
                )
                self.said += 1

        def _step(self, second: int) -> None:
            host = HOSTS[second % len(HOSTS)]
            name = f"{host}/agents/step-{second // len(HOSTS) % STEPS}"
            self.emit(events.StepStarted(step=name, host=host))
            self.emit(events.Waiting(step=name, host=host, condition="the node is ready"))
            self.emit(events.StepDone(step=name, host=host, outcome="changed", seconds=1.0))

        async def measure(self) -> dict[str, Any]:
            monitor = asyncio.create_task(self._stalls())
            began, cpu, first = time.perf_counter(), time.process_time(), self.said
            ticks = 0
            while (passed := time.perf_counter() - began) < SECONDS:
                self._say(max(0, int(passed * RATE) - (self.said - first)))
                ticks += 1
                if ticks % int(1 / TICK / 3) == 0:
                    self._step(ticks)
                await asyncio.sleep(TICK)
            cpu, rate = time.process_time() - cpu, (self.said - first) / passed
            stall, self._stall = self._stall, (0.0, 0.0)
            burst = await self._burst()
            # What the burst left to draw is a part of it.
            await asyncio.sleep(0.5)
            monitor.cancel()
            self.emit.close()
            assert not self.emit.failures
            return {
                "seconds": passed,
                "cpu": cpu,
                "rate": rate,
                "stall": stall,
                "burst": burst,
                "burst_stall": self._stall,
                "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "said": self.said,
                "kept": self.log.kept,
                "file": str(self.path),
            }

        async def _burst(self) -> float:
            began, chunk = time.perf_counter(), BURST // 100
            for n in range(100):
                self._say(chunk)
                await asyncio.sleep(max(0.0, began + n / 100 - time.perf_counter()))
            return time.perf_counter() - began

        async def _stalls(self) -> None:
            """Keep the longest that the loop was late, and the CPU seconds in that time."""
            while True:
                began, cpu = time.perf_counter(), time.process_time()
                await asyncio.sleep(0.01)
                late = time.perf_counter() - began - 0.01
                self._stall = max(self._stall, (late, time.process_time() - cpu))

    return Flood()


if __name__ == "__main__":
    if sys.argv[1:2] == ["wizard"]:
        wizard(int(sys.argv[2]))
    else:
        main()
