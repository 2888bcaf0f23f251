"""What happens on the hosts, seen from outside: files that change, and processes that start."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .containers import Container

_VOLATILE = ("run/", "tmp/", "var/tmp/", "var/log/journal/", "proc/", "sys/", "dev/")


def written(host: Container) -> dict[str, tuple[int, int, int, int]]:
    """Every file of a host that is not as in the base image: path to mode, owner, size, mtime.

    The overlay's upper layer is exactly what was written; folders do not count.
    """
    found: dict[str, tuple[int, int, int, int]] = {}
    for top, prefix in (
        (host.folder / "layers" / "upper", ""),
        (host.folder / "rancher", "var/lib/rancher/"),
    ):
        for folder, _, files in os.walk(top):
            for name in files:
                path = Path(folder) / name
                try:
                    info = path.lstat()
                except FileNotFoundError:
                    continue
                relative = prefix + str(path.relative_to(top))
                if not relative.startswith(_VOLATILE):
                    found[f"/{relative}"] = (
                        info.st_mode,
                        info.st_uid,
                        info.st_size,
                        info.st_mtime_ns,
                    )
    return found


def holding(host: Container, secret: str) -> dict[str, int]:
    """Files of a host that hold a text: path to mode bits.

    Also what is in memory only, such as /run.
    """
    script = (
        "find / -xdev -type f -size -4M ! -path '/proc/*' ! -path '/sys/*' -print0 2>/dev/null |"
        ' xargs -0 grep -lF -e "$NEEDLE" 2>/dev/null; '
        "for top in /run /var/lib/rancher /tmp; do "
        'find $top -xdev -type f -size -4M -print0 | xargs -0 -r grep -lF -e "$NEEDLE"; done'
    )
    init = host.init
    out = host.sh(f"NEEDLE='{secret}'; export NEEDLE\n{{ {script}; }} 2>/dev/null | sort -u")
    return {
        path: stat.S_IMODE(Path(f"/proc/{init}/root{path}").stat().st_mode)
        for path in out.splitlines()
    }


class Processes:
    """Command lines and environments of every process that was seen, on all hosts and here."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.samples = 0
        self._stop = threading.Event()

    def _sample(self) -> None:
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                for name in ("cmdline", "environ"):
                    try:
                        text = Path(f"/proc/{entry.name}/{name}").read_bytes()
                    except OSError:
                        continue
                    words = text.replace(b"\0", b" ").decode(errors="replace")
                    self.seen.setdefault(f"{name} {words}", entry.name)
        self.samples += 1

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._sample()
            self._stop.wait(0.02)

    def telling(self, secret: str) -> list[str]:
        """Those in which a text was seen, without the text."""
        return [said.replace(secret, "<secret>")[:300] for said in self.seen if secret in said]


@contextmanager
def processes_watched() -> Iterator[Processes]:
    """Sample all processes of this machine, its containers' included, about 20 times a second."""
    watch = Processes()
    thread = threading.Thread(target=watch._watch)
    thread.start()
    try:
        yield watch
    finally:
        watch._stop.set()
        thread.join()


class Poll:
    """Calls something at a steady rate and remembers the longest time without success."""

    def __init__(self, call: object, per_second: float) -> None:
        assert callable(call)
        self._call = call
        self._pause = 1 / per_second
        self._stop = threading.Event()
        self.successes = 0
        self.failures = 0
        self.longest_gap = 0.0

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.is_set():
            ok = self._call()
            now = time.monotonic()
            self.longest_gap = max(self.longest_gap, now - last)
            if ok:
                self.successes += 1
                last = now
            else:
                self.failures += 1
            self._stop.wait(self._pause)

    def wait_for(self, *, calls: int, within: float = 60.0) -> None:
        """Wait until that many calls have been made."""
        deadline = time.monotonic() + within
        while self.successes + self.failures < calls:
            assert time.monotonic() < deadline, "the calls do not come"
            self._stop.wait(self._pause)

    @contextmanager
    def going(self) -> Iterator[Poll]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
