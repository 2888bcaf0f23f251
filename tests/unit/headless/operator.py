"""The command line as an operator has it: a process with pipes, or one on a real terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
HOW_TO = REPOSITORY / "docs" / "examples" / "how-to.toml"
CLI = (sys.executable, "-m", "k3s_tui")
PATIENCE = 60.0
"""Seconds until something that should have happened counts as not happening."""


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


def environment(state: Path, **more: str) -> dict[str, str]:
    """Nothing of whoever runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "XDG_STATE_HOME": str(state / "state"),
        "TMPDIR": str(state),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SSH_AUTH_SOCK": "",
        "TERM": "xterm",
        "TZ": "UTC",
        **more,
    }


def run(
    *words: str | Path, state: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Done:
    """`k3s-tui WORDS` without a terminal, in the folder `state`."""
    return python("-m", "k3s_tui", *map(str, words), state=state, stdin=stdin, env=env)


def python(
    *words: str, state: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Done:
    done = subprocess.run(
        [sys.executable, *words],
        input=stdin,
        capture_output=True,
        env=environment(state, **(env or {})),
        cwd=state,
        timeout=PATIENCE,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


class Terminal:
    """A process whose standard streams are a terminal; `seen` is what it showed."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self.seen = ""
        self._descriptor = descriptor
        self._status: int | None = None

    def until(self, text: str) -> str:
        """Read until the text appears."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.seen}"
            assert self._more(deadline), f"it ended without {text!r}:\n{self.seen}"
        return self.seen

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._descriptor)[3] & termios.ECHO)

    def interrupt(self) -> None:
        """Ctrl-C, as the terminal itself turns it into a signal."""
        self.type("\x03")

    def end(self) -> int:
        """Read to the end; the exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._more(deadline):
            assert time.monotonic() < deadline, f"it does not end:\n{self.seen}"
        if self._status is None:
            _, status = os.waitpid(self.pid, 0)
            self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def close(self) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._descriptor)

    def _more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return True
        try:
            data = os.read(self._descriptor, 4096)
        except OSError:  # how Linux says that nobody is at the other end any more
            return False
        self.seen += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@contextmanager
def on_terminal(*argv: str | Path, state: Path, **env: str) -> Iterator[Terminal]:
    """Run a command on a terminal of its own."""
    words = [str(word) for word in argv]
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(state)
        os.execve(words[0], words, environment(state, **env))
    terminal = Terminal(pid, descriptor)
    try:
        yield terminal
    finally:
        terminal.close()
