"""The machine's own apt configuration, as the only source of package addresses.

No mirror is written down anywhere in the lab: the suite and its address are read from apt, and
apt itself downloads, so that its proxies, pins and credentials keep working.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .command import LabError, run


@dataclass(frozen=True)
class Suite:
    """The distribution release that this machine runs, and where its packages come from."""

    codename: str
    uri: str
    trusted: bool
    """The machine's configuration accepts this source without a signature."""


def suite() -> Suite:
    """The suite to build hosts from: the one that this machine itself runs.

    Raises:
        LabError: apt knows no source for it.
    """
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    columns = "$(CODENAME)|$(REPO_URI)|$(TRUSTED)"
    listed = run(["apt-get", "indextargets", "--format", columns, "Identifier: Packages"])
    for line in listed.splitlines():
        name, uri, trusted = line.split("|")
        if name == codename:
            return Suite(codename, uri, trusted == "yes")
    raise LabError(f"apt has no source for {codename or 'this release'}: run apt-get update first")


class Downloader:
    """Downloads packages with what they need beyond an installed system, without touching it.

    ``status`` is that system's dpkg database; ``scratch`` keeps package lists of its own, so that
    neither the machine's lists nor its locks matter.
    """

    def __init__(self, status: Path, scratch: Path) -> None:
        self._scratch = scratch
        settings = {
            "Dir::State": scratch / "state",
            "Dir::State::lists": scratch / "lists",
            "Dir::State::status": status,
            "Dir::Cache": scratch / "cache",
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "APT::Keep-Downloaded-Packages": "true",
            "Debug::NoLocking": "true",
            "Acquire::Languages": "none",
        }
        self._options = [
            word for key, value in settings.items() for word in ("-o", f"{key}={value}")
        ]

    def update(self) -> None:
        """Fetch the package lists."""
        for name in ("state", "lists/partial", "cache"):
            (self._scratch / name).mkdir(parents=True, exist_ok=True)
        run(["apt-get", "-q", *self._options, "update"], within=300)

    def fetch(self, packages: Sequence[str], into: Path) -> list[Path]:
        """Download ``packages`` and their missing dependencies; returns the files, sorted.

        Packages that the system already has are fetched as well: a repository should know them.
        """
        (into / "partial").mkdir(parents=True, exist_ok=True)
        run(
            [
                *("apt-get", "-q", "-y", *self._options, "-o", f"Dir::Cache::archives={into}"),
                *("install", "--download-only", "--reinstall", *packages),
            ],
            within=900,
        )
        (into / "partial").rmdir()
        (into / "lock").unlink(missing_ok=True)
        return sorted(into.glob("*.deb"))
