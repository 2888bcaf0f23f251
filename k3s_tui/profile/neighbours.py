"""The files beside `NAME.toml`: `NAME.lock.toml`, `NAME.secrets` and so on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k3s_tui.core.errors import Locked

_PATIENCE = 10.0
"""Seconds; another process holds one of these files for as long as it takes to write it."""


def lock_file(profile: Path) -> Path:
    """Host keys and checksums: written by k3s-tui, safe to commit."""
    return profile.with_name(f"{profile.stem}.lock.toml")


def secrets_file(profile: Path) -> Path:
    """The encrypted store."""
    return profile.with_name(f"{profile.stem}.secrets")


def kubeconfig_file(profile: Path) -> Path:
    """The fetched kubeconfig.  It is root on the cluster: not to be committed."""
    return profile.with_name(f"{profile.stem}.kubeconfig")


def pki_folder(profile: Path) -> Path:
    """Leaves that were signed elsewhere, as imported.  Public, but for keys that came with them."""
    return profile.with_name(f"{profile.stem}.pki")


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep other processes from changing `path` between reading and writing it.

    The lock lies in the user's state folder, so that nothing of it is left beside the profile.
    Raises Locked after ten seconds.
    """
    from filelock import FileLock, Timeout
    from platformdirs import user_state_path

    folder = user_state_path("k3s-tui") / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    try:
        with FileLock(folder / f"{name}.lock", timeout=_PATIENCE):
            yield
    except Timeout:
        raise Locked(
            f"another process is changing {path}", hint="wait for it to end, then try again"
        ) from None
