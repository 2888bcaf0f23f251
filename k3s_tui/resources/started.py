"""When a unit was started, for whoever asks whether an answer is of that start."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Probe
from k3s_tui.hosts.script import quote


@dataclass(frozen=True)
class Started:
    """Seconds since the epoch, by the host's clock of now; 0 while its main process does not run.

    By the clock of now, not of then: machines boot with odd ideas of the time.
    """

    unit: str

    def probe(self) -> Probe[int]:
        # Both starts are in ticks since the boot, 100 a second; that of `sed` is now.
        script = f"""\
pid=$(systemctl show -p MainPID {quote(self.unit)} 2>/dev/null)
pid=${{pid#MainPID=}}
[ "${{pid:-0}}" = 0 ] ||
    echo $(sed 's/.*) //' /proc/self/stat "/proc/$pid/stat" | cut -d ' ' -f 20) $(date +%s)
"""
        return Probe(script, _parse)

    def diff(self, now: int) -> None:
        """Nothing is wrong with any time."""


def _parse(out: bytes) -> int:
    """Ticks of now, ticks of the start, time of now; nothing of a unit that has just ended."""
    words = out.split()
    if len(words) != 3:
        return 0
    now, then, clock = map(int, words)
    return clock - (now - then) // 100
