"""Installing from a bundle, and from a mirror: who gets what, from where, and after what."""

from __future__ import annotations

from pathlib import Path

import pytest

from k3s_tui.core.contract import LAPTOP, Problem, Step
from k3s_tui.engine.plan import States, build
from k3s_tui.procedure import cluster
from k3s_tui.procedure.bundle import BundleIsWhole
from k3s_tui.profile.bundle import Bundle, BundleFile
from k3s_tui.profile.load import read
from k3s_tui.profile.model import Profile
from k3s_tui.resources.download import Download
from k3s_tui.resources.published import FirstSum, FirstSumState, PublishedSum
from k3s_tui.resources.pushed import Pushed
from tests.unit.hands import LocalHands
from tests.unit.procedure.sites import HOW_TO, changed, site

NODES = ("k3s-server-1", "k3s-server-2", "k3s-agent")
AIRGAP = changed(install={"source": "airgap", "bundle": "k3s"})
MIRROR = changed(install={"source": "mirror", "mirror": "https://mirror.example/k3s/"})
ARM = {"k3s-agent": {"arch": "aarch64"}}


EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "air-gap.toml"


def file(name: str, kind: str, arch: str = "", path: str = "") -> BundleFile:
    return BundleFile(name, kind, arch, f"/b/{path or name}", name[-1] * 64)  # type: ignore[arg-type]


FULL = Bundle(
    (
        file("install.sh", "script"),
        file("k3s-amd64", "binary", "amd64", "k3s"),
        file("images-amd64.tar.zst", "images", "amd64"),
        file("k3s-arm64", "binary", "arm64"),
    )
)


def written(profile: Profile) -> dict[str, Step[object]]:
    return {step.id: step for step in cluster.build(site(profile, facts=ARM))}


def pushes(found: Bundle) -> dict[str, object]:
    """What each node's steps are, once the bundle and its record are known."""
    steps, states = written(AIRGAP), States()
    states.put(steps["laptop/preflight/bundle"], found)
    states.put(steps["laptop/installation/checksums"], {"looked": "at"})
    return {
        id: build(step, states)
        for id, step in steps.items()
        if id.split("/")[-1] in ("script", "binary", "images")
    }


def test_the_bundle_is_looked_at_before_anything() -> None:
    step = written(AIRGAP)["laptop/preflight/bundle"]
    assert step.host == LAPTOP and step.needs == () and cluster.is_preflight(step)
    check = step.ensure
    assert isinstance(check, BundleIsWhole)
    assert check.folder == Path("/home/somebody/k3s")  # beside the profile
    assert [(w.kind, w.names[0], w.recorded) for w in check.wanted] == [
        ("script", "install.sh", ""),
        ("binary", "k3s", "k3s-amd64"),
        ("images", "k3s-airgap-images-amd64.tar.zst", ""),
        ("binary", "k3s-arm64", "k3s-arm64"),
        ("images", "k3s-airgap-images-arm64.tar.zst", ""),
    ]


def test_the_example_is_the_how_to_from_a_bundle() -> None:
    loaded = read(EXAMPLE)
    assert loaded.warnings == []
    assert loaded.profile.hosts == HOW_TO.hosts and loaded.profile.k3s == HOW_TO.k3s
    assert (
        loaded.profile.install
        == changed(install={"source": "airgap", "bundle": "k3s-bundle"}).install
    )


@pytest.mark.parametrize(("bundle", "folder"), [("/srv/k3s", "/srv/k3s"), ("~/k3s", "~/k3s")])
def test_a_bundle_elsewhere(bundle: str, folder: str) -> None:
    steps = cluster.build(site(changed(install={"source": "airgap", "bundle": bundle})))
    (check,) = (step.ensure for step in steps if step.id == "laptop/preflight/bundle")
    assert isinstance(check, BundleIsWhole) and check.folder == Path(folder).expanduser()


def test_every_node_gets_what_fits_it() -> None:
    found = pushes(FULL)
    assert found.keys() == {f"{n}/installation/{w}" for n in NODES for w in WHATS}
    for node in NODES:
        script, binary, images = (found[f"{node}/installation/{what}"] for what in WHATS)
        own = "k3s-arm64" if node == "k3s-agent" else "k3s"
        assert isinstance(script, Pushed) and isinstance(binary, Pushed)
        assert (script.path, script.mode) == ("/var/lib/k3s-tui/install.sh", "0700")
        assert (binary.path, str(binary.source)) == ("/usr/local/bin/k3s", f"/b/{own}")
        assert binary.release == HOW_TO.k3s.version and not script.release
        if node == "k3s-agent":
            assert not isinstance(images, Pushed)
        else:
            assert isinstance(images, Pushed)
            folder = "/var/lib/rancher/k3s/agent/images"
            assert (images.path, images.mode) == (f"{folder}/images-amd64.tar.zst", "0644")


WHATS = ("script", "binary", "images")


def test_nothing_is_installed_before_it_is_pushed_and_recorded() -> None:
    steps = written(AIRGAP)
    for node in NODES:
        k3s = steps[f"{node}/{'agents' if node == 'k3s-agent' else 'servers'}/k3s"]
        needs = {need.id for need in k3s.needs}
        assert {f"{node}/installation/{what}" for what in WHATS} <= needs
        for what in WHATS:
            own = {need.id for need in steps[f"{node}/installation/{what}"].needs}
            # No node waits for another's files: they are pushed side by side.
            assert own == {"laptop/preflight/bundle", "laptop/installation/checksums"}


def test_nothing_asks_a_release_server() -> None:
    checks = [step.ensure for step in written(AIRGAP).values()]
    assert not [c for c in [*checks, *pushes(FULL).values()] if isinstance(c, Download)]
    assert not [c for c in checks if isinstance(c, PublishedSum | FirstSum)]


def whole(**recorded: str) -> BundleIsWhole:
    sums = {name.replace("_", "-"): digest for name, digest in recorded.items()}
    return BundleIsWhole(Path("/b"), (), "v1", sums, "x.lock.toml")


def test_what_the_bundle_check_says() -> None:
    assert whole().diff(FULL) is None
    assert whole(k3s_amd64="4" * 64, k3s_s390x="9" * 64).diff(FULL) is None
    changed_since = whole(k3s_amd64="9" * 64).diff(FULL)
    assert isinstance(changed_since, Problem) and not changed_since.warning
    assert "9" * 64 in changed_since.text and "x.lock.toml" in changed_since.text
    broken = whole().diff(Bundle(faults=("one", "another"), absent=("images",)))
    assert isinstance(broken, Problem) and broken.text == "one; another" and not broken.warning
    lean = whole().diff(Bundle(absent=("images.tar.zst",)))
    assert isinstance(lean, Problem) and lean.warning and "images.tar.zst" in lean.text


async def test_the_check_reads_the_folder(tmp_path: Path) -> None:
    step = written(changed(install={"source": "airgap", "bundle": str(tmp_path)}))
    check = step["laptop/preflight/bundle"].ensure
    assert isinstance(check, BundleIsWhole)
    found = check.diff(await LocalHands("dash", tmp_path / "tools").look(check))
    assert isinstance(found, Problem)
    assert f"install.sh is not in {tmp_path}" in found.text
    assert f"sha256sums.txt is not in {tmp_path}" in found.text


def fetched(profile: Profile) -> dict[str, Download]:
    """What nodes would fetch, by step; as if all that the source says were known."""
    found: dict[str, Download] = {}
    for id, step in written(profile).items():
        if id.endswith(("/installation/binary", "/installation/script")):
            states = States()
            for need in step.needs:
                sums = {file.name: file.sha256 for file in FULL.files}
                states.put(need, sums if need.host is LAPTOP else FirstSumState("1" * 64))
            check = build(step, states)
            assert isinstance(check, Download)
            found[id] = check
    return found


def test_a_mirror_is_another_address_of_the_same() -> None:
    found = fetched(MIRROR)
    binary = found["k3s-server-1/installation/binary"]
    assert binary.url == "https://mirror.example/k3s/v1.36.3%2Bk3s1/k3s"
    script = found["k3s-server-1/installation/script"]
    assert script.url == "https://mirror.example/k3s/install.sh"
    listed = written(MIRROR)["k3s-server-1/preflight/published-binary"].ensure
    assert isinstance(listed, FirstSum)
    assert listed.listed_in == "https://mirror.example/k3s/v1.36.3%2Bk3s1/sha256sum-amd64.txt"


def test_a_mirror_with_a_script_of_its_own() -> None:
    install = {"source": "mirror", "mirror": "https://m", "script_url": "https://m/k3s-install.sh"}
    script = fetched(changed(install=install))["k3s-server-1/installation/script"]
    assert script.url == "https://m/k3s-install.sh"


def test_ranchers_mirror_in_china_has_names_of_its_own() -> None:
    mirror = "https://rancher-mirror.rancher.cn/k3s"
    found = fetched(changed(install={"source": "mirror", "mirror": mirror}))
    assert found["k3s-agent/installation/binary"].url == f"{mirror}/v1.36.3-k3s1/k3s-arm64"
    assert found["k3s-server-1/installation/script"].url == f"{mirror}/k3s-install.sh"
