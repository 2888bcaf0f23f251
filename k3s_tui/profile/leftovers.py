"""Temporary files beside a profile that a killed process could not take away."""

from __future__ import annotations

import glob
from contextlib import suppress
from pathlib import Path

from k3s_tui.core.errors import Locked
from k3s_tui.profile.neighbours import (
    exclusive,
    kubeconfig_file,
    lock_file,
    pki_folder,
    secrets_file,
)


def sweep(profile: Path) -> None:
    """Remove what `write_atomically` did not end for the profile and its neighbours.

    Some of it is secret.  Whoever writes one of these files holds its lock, or the run's, which is
    the caller's: so nobody is writing what goes.
    """
    neighbours = (lock_file(profile), secrets_file(profile), kubeconfig_file(profile))
    for path in (each.resolve() for each in (profile, *neighbours)):
        _remove(path, list(path.parent.glob(f".{glob.escape(path.name)}.*.tmp")))
    # Keys that came with certificates are in there.
    imported = pki_folder(profile).resolve()
    _remove(imported, [*imported.glob(".*.crt.*.tmp"), *imported.glob(".*.key.*.tmp")])


def _remove(path: Path, left: list[Path]) -> None:
    if left:
        with suppress(Locked, OSError), exclusive(path):
            for file in left:
                file.unlink(missing_ok=True)
