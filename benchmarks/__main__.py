"""All figures that this machine can give."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks import command, engine, log_pane, noop


def main() -> None:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs, load {load}")
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}, "
        f"asyncssh {version('asyncssh')}, k3s-tui {version('k3s-tui')}"
    )
    command.main()
    engine.main()
    log_pane.main()
    if platform.system() == "Linux" and os.geteuid() == 0:
        noop.main()
    else:
        print("no-op apply: needs root on Linux, for the lab", file=sys.stderr)


main()
