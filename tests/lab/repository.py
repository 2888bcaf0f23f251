"""The package repository: what the hosts may install, downloaded before the lab starts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from . import apt, mounts, paths
from .command import run

PACKAGES: tuple[str, ...] = (
    "postgresql",
    "postgresql-client",
    "mariadb-server",
    "nginx",
    "libnginx-mod-stream",
    "logrotate",
    "openssl",
    "curl",
    "ca-certificates",
    "iptables",
)

_RECIPE = "2"
"""Counted up when the way of filling changes; part of the cache key."""


def ensure(base: Path, say: Callable[[str], None]) -> Path:
    """The repository's folder (a flat one: packages and index side by side), filled if need be.

    It belongs to one base image: it holds what :data:`PACKAGES` need beyond that.
    """
    key = hashlib.sha256("\n".join((_RECIPE, base.name, *PACKAGES)).encode()).hexdigest()[:16]
    folder = paths.CACHE / f"packages-{key}"
    if folder.exists():
        return folder
    say("filling the package repository")
    building = folder.with_suffix(".building")
    scratch = folder.with_suffix(".apt")
    for leftover in (building, scratch):
        mounts.remove_tree(leftover)
    building.mkdir(parents=True)
    downloader = apt.Downloader(base / "var/lib/dpkg/status", scratch)
    downloader.update()
    for package in downloader.fetch(PACKAGES, scratch / "debs"):
        _repack(package, building)
    index = run(["sh", "-c", 'cd "$1" && apt-ftparchive packages .', "sh", building], within=120)
    (building / "Packages").write_text(index)
    release = run(["sh", "-c", 'cd "$1" && apt-ftparchive release .', "sh", building])
    (building / "Release").write_text(release)
    for old in [*paths.CACHE.glob("packages-*"), scratch]:
        if old != building:
            mounts.remove_tree(old)
    building.rename(folder)
    return folder


def _repack(package: Path, into: Path) -> None:
    """Put the package into ``into`` with a compression that unpacks fast.

    Most of an installation's time on a host would go into undoing the archive's xz, again and
    again for the same few packages.
    """
    unpacked = package.with_suffix("")
    run(["dpkg-deb", "--raw-extract", package, unpacked])
    fast = ["-Zzstd", "-z1", "--uniform-compression"]
    run(["dpkg-deb", "--build", *fast, unpacked, into / package.name])
    mounts.remove_tree(unpacked)
