"""Bundles, one mistake each: what is told of it, before any host is asked."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k3s_tui.profile.bundle import SUMS, Wanted, parse_sums, read

VERSION = "v1.36.3+k3s1"
A, B = "a" * 64, "b" * 64


def elf(machine: int, order: str = "little", version: str = VERSION) -> bytes:
    """As much of an executable as is looked at."""
    head = b"\x7fELF\x02" + (b"\x01" if order == "little" else b"\x02") + bytes(12)
    return head + machine.to_bytes(2, order) + b"..." + version.encode() + b"..."  # type: ignore[arg-type]


SCRIPT = Wanted("script", ("install.sh",))
AMD64 = Wanted("binary", ("k3s",), "amd64", "k3s-amd64")
ARM64 = Wanted("binary", ("k3s-arm64",), "arm64", "k3s-arm64")
S390X = Wanted("binary", ("k3s-s390x",), "s390x", "k3s-s390x")
IMAGES = Wanted("images", ("images.tar.zst", "images.tar.gz", "images.tar"), "amd64")
ALL = (SCRIPT, AMD64, ARM64, IMAGES)

FILES = {
    "install.sh": b"#!/bin/sh\n",
    "k3s": elf(62),
    "k3s-arm64": elf(183),
    "images.tar.gz": b"one",
    "images.tar": b"two",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "a bundle"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    write_sums(folder)
    return folder


def write_sums(folder: Path) -> None:
    files = [path for path in sorted(folder.iterdir()) if path.name != SUMS and path.is_file()]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / SUMS).write_text("".join(lines))


def test_a_whole_bundle(bundle: Path) -> None:
    found = read(bundle, ALL, VERSION)
    assert found.faults == () and found.absent == ()
    assert [(f.name, f.kind, f.arch, Path(f.path).name) for f in found.files] == [
        ("install.sh", "script", "", "install.sh"),
        ("k3s-amd64", "binary", "amd64", "k3s"),
        ("k3s-arm64", "binary", "arm64", "k3s-arm64"),
        ("images.tar.gz", "images", "amd64", "images.tar.gz"),
    ]
    own = found.of("binary", "arm64")
    assert own and own.sha256 == hashlib.sha256(FILES["k3s-arm64"]).hexdigest()
    assert found.of("images", "arm64") is None


def test_images_need_not_be_there(bundle: Path) -> None:
    for name in ("images.tar.gz", "images.tar"):
        (bundle / name).unlink()
    found = read(bundle, ALL, VERSION)
    assert found.faults == () and found.absent == ("images.tar.zst",)


def rewritten(name: str, content: bytes) -> Callable[[Path], None]:
    """With a list of sums that fits."""

    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(content)
        write_sums(folder)

    return spoil


def without_line(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        lines = (folder / SUMS).read_text().splitlines(keepends=True)
        (folder / SUMS).write_text("".join(x for x in lines if not x.endswith(f"  {name}\n")))

    return spoil


def linked(name: str, target: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder.parent / "outside").write_bytes(FILES[name])
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return spoil


def pipe(folder: Path) -> None:
    (folder / "k3s").unlink()
    os.mkfifo(folder / "k3s")


def as_folder(folder: Path) -> None:
    (folder / "k3s").unlink()
    (folder / "k3s").mkdir()


ONE_MISTAKE: list[tuple[str, Callable[[Path], object], str]] = [
    ("no script", lambda b: (b / "install.sh").unlink(), "install.sh is not in {b}"),
    (
        "no binary",
        lambda b: (b / "k3s").unlink(),
        "k3s, for amd64, is not in {b} (for other hosts there is k3s-arm64)",
    ),
    ("no list", lambda b: (b / SUMS).unlink(), "sha256sums.txt is not in {b}"),
    ("not listed", without_line("install.sh"), "sha256sums.txt has no line for install.sh"),
    ("no images' line", without_line("images.tar.gz"), "has no line for images.tar.gz"),
    (
        "tampered",
        lambda b: (b / "images.tar.gz").write_bytes(b"other"),
        f"images.tar.gz has the SHA-256 {hashlib.sha256(b'other').hexdigest()}, and sha256sums.txt"
        f" says {hashlib.sha256(b'one').hexdigest()}",
    ),
    ("cut short", rewritten("k3s", b""), "k3s is empty"),
    ("a web page", rewritten("k3s", b"<!DOCTYPE html>" + bytes(50)), "k3s is not an executable"),
    ("a web page", rewritten("install.sh", b"<html>"), "install.sh is not a shell script"),
    ("swapped", rewritten("k3s", elf(183)), "k3s is built for arm64, not for amd64"),
    ("swapped", rewritten("k3s-arm64", elf(22, "big")), "is built for s390x, not for arm64"),
    ("unheard of", rewritten("k3s", elf(8)), "k3s is built for machine 8, not for amd64"),
    (
        "another release",
        rewritten("k3s", elf(62, version="v1.36.2+k3s1")),
        "k3s is K3s v1.36.2+k3s1, and the profile pins v1.36.3+k3s1",
    ),
    ("leads out", linked("k3s", "../outside"), "k3s: it is a link that leads out of the bundle"),
    ("leads out", linked("k3s", "/etc/passwd"), "k3s: it is a link that leads out of the bundle"),
    ("leads nowhere", linked("k3s", "none"), "k3s: it cannot be read: No such file"),
    ("leads to itself", linked("k3s", "k3s"), "k3s: it "),
    ("a pipe", pipe, "k3s: it is not a file"),
    ("a folder", as_folder, "k3s: it cannot be read: Is a directory"),
    ("not a list", lambda b: (b / SUMS).write_bytes(b"\xff"), "sha256sums.txt:1: not UTF-8 text"),
    (
        "too large",
        lambda b: (b / SUMS).write_bytes(bytes((1 << 20) + 1)),
        "sha256sums.txt is larger than 1 MiB",
    ),
]


@pytest.mark.parametrize(("spoil", "says"), [(s, t) for _, s, t in ONE_MISTAKE])
def test_one_mistake(bundle: Path, spoil: Callable[[Path], object], says: str) -> None:
    spoil(bundle)
    found = read(bundle, ALL, VERSION)
    assert says.format(b=bundle) in "\n".join(found.faults), found.faults
    if not says.startswith("sha256sums.txt"):
        assert len(found.faults) == 1, found.faults


def test_every_mistake_at_once(bundle: Path) -> None:
    (bundle / "install.sh").unlink()
    (bundle / "k3s").write_bytes(elf(183))
    found = read(bundle, ALL, VERSION)
    assert len(found.faults) == 3


def test_a_link_within_the_bundle(bundle: Path) -> None:
    (bundle / "k3s").rename(bundle / "k3s-v1.36.3")
    (bundle / "k3s").symlink_to("k3s-v1.36.3")
    link = bundle.parent / "link"
    link.symlink_to(bundle)
    assert read(link, ALL, VERSION).faults == ()


def test_big_endian(bundle: Path) -> None:
    rewritten("k3s-s390x", elf(22, "big"))(bundle)
    assert read(bundle, (S390X,), VERSION).faults == ()


@pytest.fixture
def somebody() -> Iterator[None]:
    """Root may read everything: for the test this process is nobody."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_what_may_not_be_read(somebody: None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in FILES.items():
            (folder / file).write_bytes(content)
        write_sums(folder)
        (folder / "k3s").chmod(0)
        assert read(folder, ALL, VERSION).faults == ("k3s: it cannot be read: Permission denied",)


@pytest.mark.parametrize("what", ["none", "file"])
def test_no_folder(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("")
    (fault,) = read(tmp_path / what, ALL, VERSION).faults
    assert fault.startswith(f"{tmp_path / what}: it cannot be read: ")


@pytest.mark.parametrize(
    ("text", "sums", "fault"),
    [
        (f"{A}  k3s\n{B} *images.tar\n", {"k3s": A, "images.tar": B}, ""),
        (f"{A.upper()}  k3s\r\n\r\n", {"k3s": A}, ""),
        (f"{A}  ./k3s\n{B}  name with  spaces", {"k3s": A, "name with  spaces": B}, ""),
        (f"{A}  {SUMS}\n", {}, ""),
        ("", {}, ""),
        (f"{A}  k3s\n{A}  k3s\n", {"k3s": A}, ""),
        (f"{A}  k3s\n\n{B}  k3s\n", {"k3s": A}, 'sha256sums.txt:3: another sum for "k3s"'),
        (f"SHA256 (k3s) = {A}\n", {}, "sha256sums.txt:1: not a SHA-256 sum and a name"),
        (f"{A[:-1]}  k3s\n", {}, "sha256sums.txt:1: not a SHA-256 sum"),
        (f"{A} k3s\n", {}, "sha256sums.txt:1: not a SHA-256 sum"),
        (f"\\{A}  k3s\\nx\n", {}, "sha256sums.txt:1: not a SHA-256 sum"),
        (f"{A}  ../k3s\n", {}, 'sha256sums.txt:1: "../k3s" is not a file of this folder'),
        (f"{A}  /usr/local/bin/k3s\n", {}, "is not a file of this folder"),
        (f"{A}  ..\n", {}, "is not a file of this folder"),
        ("<html>\x1b[2J\n", {}, "\\u001b[2J"),
    ],
)
def test_the_list_of_sums(text: str, sums: dict[str, str], fault: str) -> None:
    found, faults = parse_sums(text)
    assert found == sums
    assert fault in "\n".join(faults) and len(faults) == bool(fault)
