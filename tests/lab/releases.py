"""What the release server offers: the stand-in, or real files of the operator's.

Published into :data:`paths.RELEASES`; the server reads it for every request, so a test may
replace a file there to tamper with a download.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import mounts, paths
from .command import LabError
from .standin.build import k3s_executable
from .topology import K3S_VERSION

_STANDIN = Path(__file__).with_name("standin")

_ARCHITECTURES = {
    "x86_64": ("amd64", "k3s"),
    "aarch64": ("arm64", "k3s-arm64"),
    "armv7l": ("arm", "k3s-armhf"),
}
"""Machine to (name in ``sha256sum-NAME.txt``, name of the binary)."""


@dataclass(frozen=True)
class Source:
    """One K3s release: its version, its executable and the install script that goes with it."""

    version: str
    k3s: bytes
    install_script: bytes

    @property
    def is_standin(self) -> bool:
        """Whether this is the lab's own stand-in."""
        return b"standin" in self.install_script[:400]


def standin(version: str = K3S_VERSION) -> Source:
    """The stand-in, giving itself out for ``version``."""
    script = (_STANDIN / "install.sh").read_bytes()
    return Source(version, k3s_executable(version), script)


def real(k3s: Path, install_script: Path, version: str) -> Source:
    """A real K3s from files.

    Raises:
        LabError: a file cannot be read.
    """
    try:
        return Source(version, k3s.read_bytes(), install_script.read_bytes())
    except OSError as error:
        raise LabError(f"cannot read {error.filename}: {error.strerror}") from error


def publish(*sources: Source) -> str:
    """Offer these releases and no others, the first one's script; returns a line about them."""
    arch, binary = _ARCHITECTURES[platform.machine()]
    new = paths.RELEASES.with_suffix(".new")
    mounts.remove_tree(new)
    for source in sources:
        folder = new / source.version
        folder.mkdir(parents=True)
        (folder / binary).write_bytes(source.k3s)
        digest = hashlib.sha256(source.k3s).hexdigest()
        (folder / f"sha256sum-{arch}.txt").write_text(f"{digest}  {binary}\n")
    (new / "install.sh").write_bytes(sources[0].install_script)
    (new / "version").write_text(sources[0].version + "\n")
    old = paths.RELEASES.with_suffix(".old")
    if paths.RELEASES.exists():
        paths.RELEASES.replace(old)
    new.replace(paths.RELEASES)
    shutil.rmtree(old, ignore_errors=True)
    kind = "the stand-in" if sources[0].is_standin else "real K3s"
    return f"{kind} {', '.join(source.version for source in sources)}"


def offers_real_k3s() -> bool:
    """Whether what the release server offers is something else than the stand-in."""
    script = paths.RELEASES / "install.sh"
    return script.exists() and b"standin" not in script.read_bytes()[:400]


def offered_version() -> str:
    """The version that the release server offers first.

    Raises:
        LabError: the lab is not up.
    """
    try:
        return (paths.RELEASES / "version").read_text().strip()
    except OSError as error:
        raise LabError("the lab is not up: no release is offered") from error
