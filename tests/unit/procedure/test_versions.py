from __future__ import annotations

import random

import pytest

from k3s_tui.procedure.versions import (
    ARCHITECTURES,
    FIRST_WITHOUT_CGROUP_V1,
    LAST_FOR_S390X,
    Version,
    binary_name,
)

IN_ORDER = [
    "v1.21.14+k3s1",
    "v1.28.4+k3s1",
    "v1.28.4+k3s2",
    "v1.28.5+k3s1",
    "v1.34.10+k3s1",
    "v1.35.0-rc1+k3s1",
    "v1.35.0-rc2+k3s1",
    "v1.35.0-rc10+k3s1",
    "v1.35.0+k3s1",
    "v1.35.0+k3s3",
    "v1.35.0+k3s10",
    "v1.36.3+k3s1",
    "v2.0.0+k3s1",
]


def test_releases_are_ordered_by_number_and_after_their_candidates() -> None:
    shuffled = random.Random(7).sample(IN_ORDER, len(IN_ORDER))
    assert sorted(shuffled, key=Version.parse) == IN_ORDER


@pytest.mark.parametrize("text", ["", "1.36.3+k3s1", "v1.36.3", "v1.36+k3s1", "latest"])
def test_what_is_no_release(text: str) -> None:
    with pytest.raises(ValueError, match="is not a K3s version"):
        Version.parse(text)


def test_the_two_borders() -> None:
    assert str(LAST_FOR_S390X.minor) == "28"
    assert Version.parse("v1.34.99+k3s9") < FIRST_WITHOUT_CGROUP_V1
    assert Version.parse("v1.35.0-rc1+k3s1") > FIRST_WITHOUT_CGROUP_V1


def test_every_architecture_has_a_file() -> None:
    names = {machine: binary_name(arch) for machine, arch in ARCHITECTURES.items()}
    assert names["x86_64"] == "k3s"
    assert names["aarch64"] == "k3s-arm64"
    assert names["armv7l"] == "k3s-armhf"
    assert names["s390x"] == "k3s-s390x"
