"""What a server and an agent need alike: the host's address and its node password."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from . import files
from .errors import Fatal

PASSWORD_FILE = Path("/etc/rancher/node/password")
"""Proves that a node's name still belongs to the same host; survives an uninstallation."""


def own_address() -> str:
    """The address that the default route leaves by; no packet is sent to find it.

    Raises:
        Fatal: there is no default route.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            raise Fatal("unable to select an IP from default routes.") from error
        address: str = probe.getsockname()[0]
        return address


def password() -> str:
    """This host's node password, made at first use."""
    if not PASSWORD_FILE.exists():
        files.write(PASSWORD_FILE, secrets.token_hex(16).encode() + b"\n")
    return PASSWORD_FILE.read_text().strip()
