"""Chapter: what K3s is installed from.

The install script and the binary of the pinned version are fetched by each node and compared with
the sums that were recorded when they were first used: every host, and every later run, gets the
same bytes or nothing.  Once there is a record, a release that was changed since is refused before
anything is touched.  Before there is one, it is the source that says what is wanted, the release by
its list of sums; what lies on a host already is no witness.  A mirror is another address of the
same; what is pushed from a bundle is in `bundle`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import LAPTOP, Check, Seen, Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure import bundle
from k3s_tui.procedure.site import Site, host
from k3s_tui.procedure.versions import ARCHITECTURES, BINARY_PATH, SCRIPT, binary_name
from k3s_tui.profile.neighbours import lock_file
from k3s_tui.resources.download import Download, DownloadState
from k3s_tui.resources.file import FileState
from k3s_tui.resources.k3s.service import SCRIPT_PATH
from k3s_tui.resources.laptop import RecordedSums
from k3s_tui.resources.package import Packages
from k3s_tui.resources.published import FirstSum, FirstSumState, PublishedSum


@dataclass(frozen=True)
class Installation:
    """Where each node's script and binary come into being."""

    steps: Steps
    packages: Mapping[str, Step[Any]]
    needs: Mapping[str, Steps]
    """By node: what has to be there before K3s can be installed on it."""

    def binary(self, node: str) -> Step[FileState]:
        return next(step for step in self.needs[node] if step.id.endswith("/binary"))


@dataclass(frozen=True)
class _Artifact:
    """One file of the release, as one node needs it."""

    name: str
    url: str
    path: str
    mode: str
    listed_in: str = ""
    """The release's own list of sums."""

    @property
    def kind(self) -> str:
        return "binary" if self.path == BINARY_PATH else "script"


def chapter(site: Site) -> Installation:
    packages = {name: _packages(site, name) for name in site.profile.k3s_nodes}
    if site.profile.install.source == "airgap":
        pushed = bundle.chapter(site)
        return Installation(
            steps=(*pushed.before, *packages.values(), *pushed.all),
            packages=packages,
            needs={node: (packages[node], *pushed.needs[node]) for node in packages},
        )
    wanted = [(node, a) for node in site.profile.k3s_nodes for a in _artifacts(site, node)]

    # Who fetches an artifact of unknown sum first is whom the others are compared with.
    published: dict[str, Step[Any]] = {}
    first: dict[str, Step[DownloadState]] = {}
    for node, artifact in wanted:
        if artifact.name in published:
            continue
        asked = published[artifact.name] = _published(site, node, artifact)
        if artifact.name not in site.recorded:
            ensure = _as_published(artifact, asked)
            first[artifact.name] = _fetch(node, artifact, ensure, (packages[node], asked))
    recorded = _record(site, first)

    fetched: dict[str, list[Step[Any]]] = {node: [] for node in packages}
    for node, artifact in wanted:
        own = first.get(artifact.name)
        if own is not None and own.host == host(node):
            fetched[node].append(own)
        elif artifact.name in site.recorded:
            record = f"as recorded in {lock_file(site.profile_path).name}"
            download = _download(artifact, site.recorded[artifact.name], record)
            fetched[node].append(_fetch(node, artifact, download, (packages[node],)))
        else:
            compare = _like_the_first(artifact, recorded, first[artifact.name].host.name)
            fetched[node].append(_fetch(node, artifact, compare, (packages[node], recorded)))
    return Installation(
        steps=(
            *published.values(),
            *packages.values(),
            *(step for steps in fetched.values() for step in steps),
            recorded,
        ),
        packages=packages,
        needs={node: (packages[node], *fetched[node], recorded) for node in packages},
    )


def _packages(site: Site, name: str) -> Step[Any]:
    family = site.family(name)
    names = family.packages_for("openssl", "download", "iptables")
    return Step(f"{name}/installation/packages", host(name), Packages(names, family), within=900)


def _artifacts(site: Site, name: str) -> Iterator[_Artifact]:
    """What one node needs, by its architecture."""
    arch = ARCHITECTURES.get(site.facts[name].arch)
    install = site.profile.install
    yield _Artifact(SCRIPT, install.script, SCRIPT_PATH, "0700")
    if arch is not None:  # the preflight has said why nothing fits
        url = install.releases(site.profile.k3s.version)
        yield _Artifact(
            f"k3s-{arch}",
            f"{url}/{binary_name(arch)}",
            BINARY_PATH,
            "0755",
            f"{url}/sha256sum-{arch}.txt",
        )


def _published(site: Site, node: str, artifact: _Artifact) -> Step[Any]:
    """Each artifact is looked up once, by the first node that needs it."""
    check: Check[Any] = FirstSum(artifact.url, artifact.listed_in)
    if artifact.name in site.recorded:
        check = PublishedSum(
            f"{artifact.name} of {site.profile.k3s.version}",
            artifact.url,
            artifact.path,
            site.recorded[artifact.name],
            lock_file(site.profile_path).name,
            artifact.listed_in,
        )
    id = f"{node}/preflight/published-{artifact.kind}"
    return Step(id, host(node), check, within=60)


def _as_published(artifact: _Artifact, asked: Step[FirstSumState]) -> Any:
    by = f"as {artifact.listed_in} says" if artifact.listed_in else "as it was just before"
    return lambda seen: _download(artifact, seen[asked].digest or None, by)


def _download(artifact: _Artifact, digest: str | None, by: str) -> Download:
    return Download(
        artifact.url,
        artifact.path,
        digest,
        artifact.mode,
        wanted_by=by,
        listed_in=artifact.listed_in,
    )


def _fetch(node: str, artifact: _Artifact, ensure: Any, needs: Steps) -> Step[DownloadState]:
    id = f"{node}/installation/{artifact.kind}"
    return Step(id, host(node), ensure, needs, within=900)


def _record(site: Site, first: Mapping[str, Step[DownloadState]]) -> Step[Mapping[str, str]]:
    def sums(seen: Seen) -> Check[Mapping[str, str]]:
        found = {name: seen[step].digest for name, step in first.items()}
        return RecordedSums(
            lock_file(site.profile_path),
            site.profile.k3s.version,
            site.profile.install.script,
            {**site.recorded, **found},
        )

    return Step("laptop/installation/checksums", LAPTOP, sums, tuple(first.values()))


def _like_the_first(artifact: _Artifact, recorded: Step[Mapping[str, str]], node: str) -> Any:
    return lambda seen: _download(artifact, seen[recorded][artifact.name], f"as {node} has it")
