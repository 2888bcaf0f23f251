"""A bundle: the folder on the laptop that K3s is installed from where no release server is.

    install.sh  k3s  k3s-arm64  k3s-airgap-images-amd64.tar.zst  sha256sums.txt

`sha256sums.txt` is what `sha256sum` writes, as K3s's own lists of sums are.  Everything that is
wrong with a bundle is found here, before any host is touched.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Literal

from k3s_tui.profile.problem import shown

SUMS = "sha256sums.txt"

Kind = Literal["script", "binary", "images"]

_LARGEST_LIST = 1 << 20
_LINE = re.compile(r"([0-9A-Fa-f]{64}) [ *](.+)")
_VERSION = re.compile(rb"v1\.[0-9]+\.[0-9]+(?:-rc[0-9]+)?\+k3s[0-9]+")
_MACHINES = {"amd64": 62, "arm": 40, "arm64": 183, "s390x": 22}
"""`e_machine` of an ELF file, by K3s's name for the architecture."""


@dataclass(frozen=True)
class Wanted:
    """One file that hosts need: the first of `names` that is there.  Only images are optional.

    `recorded` is its name in the lock file, '' when that is the file's own.
    """

    kind: Kind
    names: tuple[str, ...]
    arch: str = ""
    recorded: str = ""


@dataclass(frozen=True)
class BundleFile:
    """A file that is as its sum says; `name` is that of the lock file."""

    name: str
    kind: Kind
    arch: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """What is in a bundle, and in words what is wrong with it, a line each."""

    files: tuple[BundleFile, ...] = ()
    faults: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    """Optional files that hosts could have used."""

    def of(self, kind: Kind, arch: str = "") -> BundleFile | None:
        return next((f for f in self.files if (f.kind, f.arch) == (kind, arch)), None)


@dataclass
class _Reading:
    folder: Path
    version: str
    sums: Mapping[str, str] = field(default_factory=dict)
    files: list[BundleFile] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def read(folder: Path, wanted: Sequence[Wanted], version: str) -> Bundle:
    """Look at every wanted file of the folder, and at all of each.  Raises nothing of its own.

    `version` is the K3s release that the binaries must be.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        return Bundle(faults=(f"{folder}: {_reason(error)}",))
    reading = _Reading(folder, version)
    reading.sums = _read_sums(reading, names)
    for one in wanted:
        found = next((name for name in one.names if name in names), None)
        if found is not None:
            _read_file(reading, one, found)
        elif one.kind == "images":
            reading.absent.append(one.names[0])
        else:
            others = sorted(n for n in names if re.fullmatch(r"k3s(-[a-z0-9]+)?", n))
            more = f" (for other hosts there is {', '.join(others)})" if one.arch and others else ""
            what = f"{one.names[0]}, for {one.arch}," if one.arch else one.names[0]
            reading.faults.append(f"{what} is not in {folder}{more}")
    return Bundle(tuple(reading.files), tuple(reading.faults), tuple(reading.absent))


def parse_sums(text: str) -> tuple[dict[str, str], list[str]]:
    """Sums in lower case by file name, and the faults of the list with their line numbers.

    A name may begin with `./`; what the list says of itself, made while it was written, is nothing.
    """
    sums: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            faults.append(f"{SUMS}:{number}: not a SHA-256 sum and a name: {shown(line)}")
            continue
        digest, name = found[1].lower(), found[2].removeprefix("./")
        if name == SUMS:
            continue
        if "/" in name or name in (".", ".."):
            faults.append(f"{SUMS}:{number}: {shown(name)} is not a file of this folder")
        elif sums.setdefault(name, digest) != digest:
            faults.append(f"{SUMS}:{number}: another sum for {shown(name)}, which has one above")
    return sums, faults


def _read_sums(reading: _Reading, names: set[str]) -> Mapping[str, str]:
    if SUMS not in names:
        reading.faults.append(f"{SUMS} is not in {reading.folder}")
        return {}
    try:
        with _open(reading.folder, SUMS) as file:
            raw = file.read(_LARGEST_LIST + 1)
    except (OSError, _NotOurs) as error:
        reading.faults.append(f"{SUMS}: {_reason(error)}")
        return {}
    if len(raw) > _LARGEST_LIST:
        reading.faults.append(f"{SUMS} is larger than 1 MiB: not a list of sums")
        return {}
    try:
        sums, faults = parse_sums(raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        sums, faults = {}, [f"{SUMS}:{line}: not UTF-8 text"]
    reading.faults += faults
    return sums


def _read_file(reading: _Reading, wanted: Wanted, name: str) -> None:
    listed = reading.sums.get(name)
    try:
        with _open(reading.folder, name) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            faults = list(_unfit(file, wanted, reading.version))
    except (OSError, _NotOurs) as error:
        reading.faults.append(f"{name}: {_reason(error)}")
        return
    if listed is None:
        reading.faults.append(f"{SUMS} has no line for {name}")
    elif listed != digest:
        reading.faults.append(f"{name} has the SHA-256 {digest}, and {SUMS} says {listed}")
    reading.faults += (f"{name} {fault}" for fault in faults)
    path = str(reading.folder / name)
    recorded = wanted.recorded or name
    reading.files.append(BundleFile(recorded, wanted.kind, wanted.arch, path, digest))


class _NotOurs(Exception):
    """A name in the folder that is not a file of the folder."""


def _open(folder: Path, name: str) -> BufferedReader:
    """A regular file that lies in the folder, maybe by way of links.  Raises OSError, _NotOurs."""
    try:
        root, real = folder.resolve(strict=True), (folder / name).resolve(strict=True)
    except RuntimeError:
        raise _NotOurs("it is a link that leads to itself") from None
    if root not in real.parents:
        raise _NotOurs(f"it is a link that leads out of the bundle, to {shown(str(real))}")
    # A pipe would be waited for; a link that is put in its place meanwhile is not followed.
    file = os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _NotOurs("it is not a file")
    return file


def _unfit(file: BufferedReader, wanted: Wanted, version: str) -> Iterator[str]:
    """What tells that it is not the file that it is called."""
    file.seek(0)
    head = file.read(20)
    if not head:
        yield "is empty"
    elif wanted.kind == "script" and not head.startswith(b"#!"):
        yield "is not a shell script"
    elif wanted.kind == "binary":
        if head.startswith(b"\x7fELF") and len(head) == 20:
            machine = int.from_bytes(head[18:20], "big" if head[5] == 2 else "little")
            if machine != _MACHINES[wanted.arch]:
                names = {number: arch for arch, number in _MACHINES.items()}
                other = names.get(machine, f"machine {machine}")
                yield f"is built for {other}, not for {wanted.arch}"
        elif not head.startswith(b"#!"):
            yield "is not an executable"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = {match.decode() for match in _VERSION.findall(content)}
        if found and version not in found:
            yield f"is K3s {', '.join(sorted(found))}, and the profile pins {version}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"it cannot be read: {error.strerror or type(error).__name__}"
    return str(error)
