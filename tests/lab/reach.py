"""Waits for addresses to speak SSH: ``python -m tests.lab.reach SECONDS ADDRESS…``.

Run inside the bridge's namespace, where the lab's addresses exist. Prints ``ADDRESS open`` or
``ADDRESS closed`` for each.
"""

from __future__ import annotations

import socket
import sys
import time


def speaks_ssh(address: str, within: float) -> bool:
    """Whether something at port 22 sends an SSH banner before ``within`` seconds are over."""
    deadline = time.monotonic() + within
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((address, 22), timeout=min(left, 1.0)) as connection:
                connection.settimeout(min(left, 5.0))
                if connection.recv(4) == b"SSH-":
                    return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    end = time.monotonic() + float(sys.argv[1])
    for target in sys.argv[2:]:
        is_open = speaks_ssh(target, max(end - time.monotonic(), 0.2))
        print(target, "open" if is_open else "closed")
