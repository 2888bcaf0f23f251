"""The service manager's notification socket (sd_notify)."""

from __future__ import annotations

import os
import socket


def ready() -> None:
    """Tell systemd that the service is up. Without systemd, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        channel.sendall(b"READY=1")
