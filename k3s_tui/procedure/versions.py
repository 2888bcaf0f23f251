"""K3s versions, and what they can run on."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-rc(\d+))?\+k3s(\d+)")

ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "s390x": "s390x",
}
"""K3s's own names by what `uname -m` says."""

SCRIPT = "install.sh"
BINARY_PATH = "/usr/local/bin/k3s"
IMAGES_FOLDER = "/var/lib/rancher/k3s/agent/images"
"""Where K3s loads images from before it asks any registry."""

_SUFFIX = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf", "s390x": "k3s-s390x"}


@dataclass(frozen=True, order=True)
class Version:
    """A K3s release, ordered.  A release candidate comes before its release."""

    major: int
    minor: int
    patch: int
    candidate: float
    k3s: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Reads `v1.36.3+k3s1` and what may follow it.  Raises ValueError."""
        found = _FORM.match(text)
        if not found:
            raise ValueError(f"{text!r} is not a K3s version")
        major, minor, patch, candidate, k3s = found.groups()
        return cls(
            int(major),
            int(minor),
            int(patch),
            float(candidate) if candidate else float("inf"),
            int(k3s),
        )


LAST_FOR_S390X = Version.parse("v1.28.4+k3s1")
"""Builds for s390x ended after it (k3s #8987, #9044)."""

FIRST_WITHOUT_CGROUP_V1 = Version.parse("v1.35.0-rc0+k3s1")
"""Its kubelet does not start on cgroup v1 any more (kubernetes #134298)."""


def binary_name(arch: str) -> str:
    """The release's file name for an architecture of `ARCHITECTURES`' values."""
    return _SUFFIX[arch]


def image_names(arch: str) -> tuple[str, ...]:
    """The names of the release's archives of images, the smallest first."""
    return tuple(f"k3s-airgap-images-{arch}.tar{suffix}" for suffix in (".zst", ".gz", ""))
