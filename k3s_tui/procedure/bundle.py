"""Chapter: what K3s is installed from where no release server is.

The bundle is checked on the laptop before anything is touched, its sums are recorded at first use
like those of a download, and each node gets its files over its SSH connection.  Packages come from
the hosts' own sources.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from k3s_tui.core.contract import LAPTOP, Check, Hands, Probe, Problem, Seen, Step
from k3s_tui.core.files import at_home
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure.site import Site, host
from k3s_tui.procedure.versions import (
    ARCHITECTURES,
    BINARY_PATH,
    IMAGES_FOLDER,
    SCRIPT,
    binary_name,
    image_names,
)
from k3s_tui.profile.bundle import Bundle, BundleFile, Kind, Wanted, read
from k3s_tui.profile.neighbours import lock_file
from k3s_tui.resources.file import FileState
from k3s_tui.resources.k3s.service import SCRIPT_PATH
from k3s_tui.resources.laptop import RecordedSums
from k3s_tui.resources.pushed import Pushed

_SECONDS = 3600
"""For one file to one host: images are half a gigabyte, and lines may be slow."""

_NO_ARCHIVE = "no archive of images"


@dataclass(frozen=True)
class BundleIsWhole:
    """A preflight check on the laptop: all that the nodes need is in the folder, as the list of
    sums and the lock file say.
    """

    folder: Path
    wanted: tuple[Wanted, ...]
    version: str
    recorded: Mapping[str, str]
    record: str
    """The lock file's name, for the operator."""

    def probe(self) -> Probe[Bundle]:
        async def ask(_: Hands) -> bytes:
            found = await asyncio.to_thread(read, self.folder, self.wanted, self.version)
            return msgspec.json.encode(found)

        return Probe(ask, lambda out: msgspec.json.decode(out, type=Bundle))

    def diff(self, now: Bundle) -> Problem | None:
        faults = [*now.faults, *self._unlike_the_record(now)]
        if faults:
            return Problem(
                "; ".join(faults),
                f"mend {self.folder}: take the files anew from the release, and its list of sums",
            )
        if now.absent:
            return Problem(
                f"there is no {' and no '.join(now.absent)}: nodes ask their registries for images",
                "fine when they have one; else add it to the bundle",
                warning=True,
            )
        return None

    def _unlike_the_record(self, now: Bundle) -> Iterator[str]:
        for file in now.files:
            recorded = self.recorded.get(file.name, file.sha256)
            if recorded != file.sha256:
                yield (
                    f"{file.name} has the SHA-256 {file.sha256}, and {recorded} is recorded in"
                    f" {self.record}: find out why it changed before you remove the recorded line"
                )


@dataclass(frozen=True)
class NothingToPush:
    """The bundle has no such file for this node, and need not have."""

    def probe(self) -> Probe[str]:
        async def ask(_: Hands) -> bytes:
            return b""

        return Probe(ask, lambda _: _NO_ARCHIVE)

    def diff(self, now: str) -> None:
        return None


@dataclass(frozen=True)
class Pushes:
    """`before` looks at the bundle; `needs` are each node's files and their record."""

    before: Steps
    all: Steps
    needs: Mapping[str, Steps]


def chapter(site: Site) -> Pushes:
    bundle = Step("laptop/preflight/bundle", LAPTOP, _check(site), within=600)
    recorded = _record(site, bundle)
    pushes = {name: _pushes(site, name, bundle, recorded) for name in site.profile.k3s_nodes}
    return Pushes(
        before=(bundle,),
        all=(recorded, *(step for steps in pushes.values() for step in steps)),
        needs={name: (recorded, *steps) for name, steps in pushes.items()},
    )


def _check(site: Site) -> BundleIsWhole:
    arches = {_arch(site, name) for name in site.profile.k3s_nodes}
    wanted = [Wanted("script", (SCRIPT,))]
    for arch in sorted(arches - {""}):  # of the others the preflight tells
        wanted.append(Wanted("binary", (binary_name(arch),), arch, f"k3s-{arch}"))
        wanted.append(Wanted("images", image_names(arch), arch))
    # A path that is not absolute begins where the profile is, wherever the command is run.
    folder = site.profile_path.parent / at_home(site.profile.install.bundle or "")
    return BundleIsWhole(
        folder,
        tuple(wanted),
        site.profile.k3s.version,
        site.recorded,
        lock_file(site.profile_path).name,
    )


def _record(site: Site, bundle: Step[Bundle]) -> Step[Mapping[str, str]]:
    def sums(seen: Seen) -> Check[Mapping[str, str]]:
        found = {file.name: file.sha256 for file in seen[bundle].files}
        return RecordedSums(
            lock_file(site.profile_path),
            site.profile.k3s.version,
            site.profile.install.script,
            {**site.recorded, **found},
        )

    return Step("laptop/installation/checksums", LAPTOP, sums, (bundle,))


def _pushes(site: Site, name: str, bundle: Step[Bundle], recorded: Step[Any]) -> Steps:
    arch = _arch(site, name)

    def push(kind: Kind, arch: str, release: str, seen: Seen) -> Check[Any]:
        file = seen[bundle].of(kind, arch)
        return NothingToPush() if file is None else _pushed(file, release)

    def step(what: str, kind: Kind, arch: str = "", release: str = "") -> Step[FileState]:
        return Step(
            f"{name}/installation/{what}",
            host(name),
            partial(push, kind, arch, release),
            (bundle, recorded),
            within=_SECONDS,
        )

    return (
        step("script", "script"),
        step("binary", "binary", arch, site.profile.k3s.version),
        step("images", "images", arch),
    )


def _pushed(file: BundleFile, release: str) -> Pushed:
    source = Path(file.path)
    match file.kind:
        case "script":
            return Pushed(source, SCRIPT_PATH, file.sha256, "0700")
        case "binary":
            return Pushed(source, BINARY_PATH, file.sha256, "0755", release=release)
        case "images":
            return Pushed(source, f"{IMAGES_FOLDER}/{source.name}", file.sha256, "0644")


def _arch(site: Site, name: str) -> str:
    """K3s's name for what the node is; '' when there is no build for it."""
    return ARCHITECTURES.get(site.facts[name].arch, "")
