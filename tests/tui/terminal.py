"""A real terminal, by tmux: what an operator sees, and what state a program leaves it in."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 30.0
"""Seconds that something may take to be on the screen."""

_ANSWER = 3.0
"""Seconds after which a key is taken for one that changes nothing."""


class Terminal:
    """One program in one terminal.  The terminal stays when the program ends."""

    def __init__(self, socket: Path, folder: Path) -> None:
        self._socket = socket
        self._pid = folder / "pid"

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self._socket), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        return done.stdout

    @property
    def screen(self) -> str:
        """What is to be seen, line by line."""
        return self._tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Keys by tmux's names, as a person presses them: Enter, Escape, C-n, Down."""
        for key in keys:
            self._send(key)

    def type(self, text: str) -> None:
        self._send("-l", text)

    def _send(self, *words: str) -> None:
        """One key, or text for one field; then the screen may answer to it, and come to rest.

        Focus moves a moment after Tab: what follows at once would go to the field before.
        """
        before = last = self._state
        self._tmux("send-keys", *words)
        deadline = time.monotonic() + _ANSWER
        while time.monotonic() < deadline:
            time.sleep(0.1)
            now = self._state
            if now not in (before, last):
                last = now
            elif now != before:
                return

    @property
    def drawn(self) -> str:
        """What is to be seen, with the escape codes of its colours."""
        return self._tmux("capture-pane", "-p", "-e")

    @property
    def _state(self) -> str:
        """The screen with its colours and its cursor, in which focus shows."""
        cursor = self._tmux("display-message", "-p", "#{cursor_x},#{cursor_y}")
        return self.drawn + cursor

    def until(self, seen: str | Callable[[str], bool], within: float = PATIENCE) -> str:
        """Wait until a text, or what a function looks for, is on the screen."""
        deadline = time.monotonic() + within
        while True:
            screen = self.screen
            if seen in screen if isinstance(seen, str) else seen(screen):
                return screen
            assert time.monotonic() < deadline, f"not seen within {within} s: {seen}\n{screen}"
            time.sleep(0.05)

    def is_sane(self) -> bool:
        """Whether it is an ordinary terminal: no second screen, no mouse, a cursor."""
        flags = self._tmux(
            "display-message", "-p", "#{alternate_on}#{mouse_any_flag}#{cursor_flag}"
        )
        return flags.strip() == "001"

    @property
    def pid(self) -> int:
        """The program's process."""
        return int(self._pid.read_text())

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        """Take the terminal away, as when its window is closed."""
        self._tmux("kill-server")

    def exit_status(self, within: float = PATIENCE) -> int:
        """How the program ended, which it must by then."""
        screen = self.until("EXIT=", within)
        return int(screen.rpartition("EXIT=")[2].split()[0])


@contextmanager
def terminal(
    argv: Sequence[str | Path],
    folder: Path,
    *,
    size: tuple[int, int] = (80, 24),
    env: Mapping[str, str] | None = None,
    term: str = "screen-256color",
) -> Iterator[Terminal]:
    """Run a program in `folder`; `env` comes on top of a bare environment."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    variables |= {"TERM": term, **(env or {})}
    words = " ".join(shlex.quote(f"{name}={value}") for name, value in variables.items())
    script = folder / "terminal.sh"
    script.write_text(
        f"cd {shlex.quote(str(folder))}\n"
        f"sh -c 'echo $$ >pid; exec env -i \"$@\"' - {words} {shlex.join(map(str, argv))}\n"
        'echo "EXIT=$?"\nexec sleep 600\n'
    )
    # A new one each time: tmux lets go of its socket some time after it was told to end.
    socket = folder / f"tmux-{secrets.token_hex(3)}"
    found = Terminal(socket, folder)
    width, height = map(str, size)
    start = ["tmux", "-S", str(socket), "-f", "/dev/null", "new-session", "-d"]
    subprocess.run(
        [*start, "-x", width, "-y", height, "sh", str(script)],
        check=True,
        env={**os.environ, "TERM": term},
        timeout=20,
    )
    try:
        yield found
    finally:
        subprocess.run(
            ["tmux", "-S", str(socket), "kill-server"], check=False, capture_output=True, timeout=20
        )
