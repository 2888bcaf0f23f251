"""Where the lab keeps things on the machine that runs it.

``/var/cache`` holds what is slow to make and the same every time, ``/var/lib`` one lab's state:
removing the second after a ``down`` loses nothing.
"""

from __future__ import annotations

from pathlib import Path

from .topology import LAN

REPOSITORY = Path(__file__).resolve().parents[2]
"""Root of the k3s-tui checkout."""

CACHE = Path("/var/cache/k3s-tui-lab")
STATE = Path("/var/lib") / LAN
LOCKS = Path("/run/lock")

UP_LOCK = LOCKS / "k3s-tui-lab.lock"
"""Held while any lab is being brought up or taken down: the first one fills the caches."""

USE_LOCK = LOCKS / f"{LAN}-in-use.lock"
"""Held by a test session for as long as it owns the hosts."""

CA_CERTIFICATE = CACHE / "ca" / "ca.crt"
CA_KEY = CACHE / "ca" / "ca.key"

STATE_FILE = STATE / "lab.json"
"""Written when ``up`` has finished: which base, which releases."""

IDENTITY = STATE / "identity"
"""The lab's SSH key (ed25519, no passphrase); the public half has ``.pub`` added."""

SERVICES_RECORD = STATE / "services.pid"
SERVICES_LOG = STATE / "services.log"
RELEASES = STATE / "releases"
"""What the release server serves, one folder per host name, read anew for every request."""

NAMES = STATE / "names"
"""What else the name server knows: lines of an address and a name, read anew for every query."""

RELEASES_LOG = STATE / "releases-access.log"
PACKAGES_LOG = STATE / "packages-access.log"
RELEASES_CERTIFICATE = STATE / "releases.crt"
RELEASES_KEY = STATE / "releases.key"


def host_folder(name: str) -> Path:
    """One host's overlay, SSH keys, console log and process record."""
    return STATE / "hosts" / name
