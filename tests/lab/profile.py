"""The lab's profile: ``docs/examples/how-to.toml`` with what differs here, and its lock file.

The example's addresses are the lab's, so only the ways in differ: the user, the key, sudo, and a
K3s version that the release server has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w
import tomlkit

from . import paths, releases
from .lab import Lab
from .topology import SUDO_PASSWORD, USER

EXAMPLE = paths.REPOSITORY / "docs" / "examples" / "how-to.toml"

PASSPHRASE = "lab-passphrase"
"""Opens the lab's secret stores; they protect nothing."""

_WITHOUT_IMAGES: dict[str, Any] = {
    "flannel-backend": "none",
    "disable-network-policy": True,
    "disable": ["coredns", "servicelb", "traefik", "local-storage", "metrics-server"],
}
"""Server options with which a real K3s becomes Ready where no image can be pulled."""


def write(
    folder: Path,
    lab: Lab,
    *,
    name: str = "lab",
    user: str = USER,
    become: str = "sudo",
    sudo_password: str | None = None,
    pin: bool = True,
) -> Path:
    """Write ``NAME.toml`` and ``NAME.lock.toml`` into ``folder`` and return the first's path.

    ``sudo_password`` is a secret reference (``file:…``, ``env:…``) for a user whose sudo asks;
    ``pin=False`` leaves the host keys out of the lock file. The secret store is not made: that is
    ``k3s-tui secret init``'s work, with :func:`write_passphrase` for the passphrase.

    Raises:
        LabError: the lab is not up.
    """
    document: Any = tomlkit.parse(EXAMPLE.read_text())
    document["name"] = name
    ssh = document["ssh"]
    ssh["user"] = user
    ssh["identity"] = str(lab.identity)
    ssh["become"] = become
    if sudo_password is None:
        ssh.pop("sudo-password", None)
    else:
        ssh["sudo-password"] = sudo_password
    document["k3s"]["version"] = releases.offered_version()
    if releases.offers_real_k3s():
        document["k3s"].setdefault("server-config", {}).update(_WITHOUT_IMAGES)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(tomlkit.dumps(document))
    lock = {"host-keys": lab.host_keys} if pin else {}
    (folder / f"{name}.lock.toml").write_text(tomli_w.dumps(lock))
    return path


def write_passphrase(folder: Path) -> Path:
    """A passphrase file for ``--passphrase-file``, 0600; returns its path."""
    return _private(folder / "passphrase", PASSPHRASE)


def write_sudo_password(folder: Path) -> Path:
    """A file with the sudo password of the user whose sudo asks, 0600; returns its path."""
    return _private(folder / "sudo-password", SUDO_PASSWORD)


def _private(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.chmod(0o600)
    path.write_text(text + "\n")
    return path
