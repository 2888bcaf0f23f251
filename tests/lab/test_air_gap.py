"""From a bundle on the laptop, and from a mirror: no release server of the world is asked."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import signal
import tomllib
from pathlib import Path

import pytest

from . import paths, releases
from .lab import Lab
from .operators import Operators, edit, lock_file, refused
from .product import Done, Product
from .test_interruption import running, settle

NODES = ("k3s-server-1", "k3s-server-2", "k3s-agent")
ARCH, BINARY = {
    "x86_64": ("amd64", "k3s"),
    "aarch64": ("arm64", "k3s-arm64"),
    "armv7l": ("arm", "k3s-armhf"),
}[platform.machine()]
IMAGES = f"k3s-airgap-images-{ARCH}.tar.zst"
IMAGES_THERE = f"/var/lib/rancher/k3s/agent/images/{IMAGES}"
STAGING = "/var/lib/k3s-tui/pushed"


@pytest.fixture(scope="module")
def operators(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operators:
    return Operators(bare_hosts, tmp_path_factory.mktemp("operators"))


@pytest.fixture(scope="module")
def content(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the release that is offered, and images that take a while to send."""
    folder = tmp_path_factory.mktemp("content")
    shutil.copyfile(paths.RELEASES / "install.sh", folder / "install.sh")
    shutil.copyfile(paths.RELEASES / releases.offered_version() / BINARY, folder / BINARY)
    (folder / IMAGES).write_bytes(os.urandom(96 << 20))
    write_sums(folder)
    return folder


def write_sums(folder: Path) -> None:
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.suffix != ".txt"
    }
    (folder / "sha256sums.txt").unlink(missing_ok=True)  # it may be linked to another bundle's
    (folder / "sha256sums.txt").write_text("".join(f"{d}  {n}\n" for n, d in sums.items()))


def from_bundle(product: Product, content: Path) -> Path:
    """Give the operator a bundle beside the profile."""
    own = product.folder / "bundle"
    own.mkdir()
    for path in content.iterdir():
        os.link(path, own / path.name)
    edit(product, 'source = "online"', 'source = "airgap"\nbundle = "bundle"')
    return own


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def asked_since(start: int) -> list[str]:
    return paths.RELEASES_LOG.read_text()[start:].splitlines()


def sending(done: Done, step: str) -> tuple[float, float]:
    """From when to when a file was on its way: a step begins before it has its turn, and says how
    far it is only then.
    """
    (began,) = done.of("step-started", step=step)
    (ended,) = done.of("step-done", step=step, outcome="changed")
    first = done.of("waiting", step=step)[0]
    assert began["t"] <= first["t"] <= ended["t"]
    return first["t"], ended["t"]


# -- refused before anything is touched -----------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda b: replace(b / BINARY, b"#!/bin/sh\n: >/root/executed\n"), "sha256sums.txt says"),
        (lambda b: (b / "install.sh").unlink(), "install.sh is not in"),
        (
            lambda b: replace(b / "sha256sums.txt", b"0" * 64 + b"  k3s-images.txt\n"),
            f"has no line for {BINARY}",
        ),
    ],
    ids=["tampered", "missing", "unlisted"],
)
def test_a_bundle_that_is_not_whole(
    operators: Operators, content: Path, spoil: object, says: str
) -> None:
    product = operators.another()
    bundle = from_bundle(product, content)
    assert callable(spoil)
    spoil(bundle)
    start = len(paths.RELEASES_LOG.read_text())
    done = refused(product, 5, "nothing was changed", "laptop/preflight/bundle", says)
    assert [e["step"] for e in done.of("planned", verdict="problem")] == ["laptop/preflight/bundle"]
    assert "install" not in tomllib.loads(lock_file(product).read_text())
    assert not asked_since(start)


# -- to a cluster ---------------------------------------------------------------------------------


def test_killed_while_pushing_then_a_cluster(
    operators: Operators, bare_hosts: Lab, content: Path
) -> None:
    lab, product = bare_hosts, operators.another()
    bundle = from_bundle(product, content)
    start = len(paths.RELEASES_LOG.read_text())
    digest = hashlib.sha256((bundle / IMAGES).read_bytes()).hexdigest()
    part = f"{STAGING}/.k3s-tui.{digest[:32]}.part"

    # Killed when a tenth of the images is on the host, cut by the laptop's end alone.
    with running(product) as run:
        run.until(
            lambda done: [
                e
                for e in done.of("waiting", step="k3s-agent/installation/images")
                if e["seen"].startswith(("10 %", "20 %"))
            ]
        )
        run.send(signal.SIGKILL)
        assert run.ended(30).status == -signal.SIGKILL
    settle(lab, 30)
    arrived = int(lab.host("k3s-agent").sh(f"stat -c %s {part}"))
    assert 5 << 20 < arrived < 96 << 20
    for node in NODES:
        told = lab.host(node).sh(f"stat -c %a {STAGING} {STAGING}/.k3s-tui.*.part; ls {STAGING}")
        assert set(told.split()) <= {"700", "600"}, told
        assert lab.host(node).sh(f"test -e {IMAGES_THERE} && echo there || echo no") == "no\n"

    second = product.apply()
    assert second.status == 0, second
    # Only the rest was sent: what it says first is more than what had arrived.
    seen = [e["seen"] for e in second.of("waiting", step="k3s-agent/installation/images")]
    assert int(seen[0].split()[0]) >= 100 * arrived // (96 << 20) - 10, seen
    # Side by side: no push of a host waits for another host's.
    spans = [sending(second, f"{node}/installation/images") for node in NODES]
    assert max(began for began, _ in spans) < min(ended for _, ended in spans), spans
    wanted = {n: hashlib.sha256((bundle / n).read_bytes()).hexdigest() for n in (BINARY, IMAGES)}
    for node in NODES:
        told = lab.host(node).sh(
            f"sha256sum /usr/local/bin/k3s {IMAGES_THERE} | cut -d ' ' -f 1; ls -A {STAGING}"
        )
        assert told.split() == list(wanted.values())
    recorded = tomllib.loads(lock_file(product).read_text())["install"]
    assert recorded["script-url"] == "bundle"
    assert recorded["sha256"].keys() == {"install.sh", f"k3s-{ARCH}", IMAGES}

    converged = product.plan("--detailed-exitcode")
    assert converged.status == 0, converged
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again
    assert not again.of("waiting", step="k3s-agent/installation/images")
    assert not asked_since(start)

    # With a list of its own that fits: what was used first tells.
    replace(bundle / BINARY, (bundle / BINARY).read_bytes() + b"\0")
    write_sums(bundle)
    refused_again = product.apply()
    assert refused_again.status == 5, refused_again
    assert f"k3s-{ARCH} has the SHA-256" in refused_again.err
    assert "is recorded in lab.lock.toml" in refused_again.err


def test_a_connection_that_is_cut_while_pushing(
    operators: Operators, bare_hosts: Lab, content: Path
) -> None:
    """The run itself goes on with what had arrived."""
    bare_hosts.fresh("k3s-agent")
    agent, product = bare_hosts.host("k3s-agent"), operators.another()
    from_bundle(product, content)
    step = "k3s-agent/installation/images"
    with running(product, "--only", step) as run:
        run.until(lambda done: done.of("waiting", step=step))
        agent.sh("kill -9 $(ps -eo pid=,args= | awk '/sshd: ops/ && !/awk/ {print $1}')")
        done = run.ended(120)
    assert done.status == 0, done
    assert step in done.steps("changed")
    assert done.of("host-state", host="k3s-agent", state="lost"), done
    seen = [int(e["seen"].split()[0]) for e in done.of("waiting", step=step)]
    assert seen == sorted(seen) and seen[-1] == 100, seen


def test_a_mirror(operators: Operators, bare_hosts: Lab) -> None:
    """The lab's store of assets serves as one: it has the script and the folders of releases."""
    bare_hosts.fresh()
    product = operators.another()
    mirror = "https://release-assets.githubusercontent.com"
    edit(product, 'source = "online"', f'source = "mirror"\nmirror = "{mirror}/"')
    start = len(paths.RELEASES_LOG.read_text())
    done = product.apply()
    assert done.status == 0, done
    asked = re.findall(r"GET (\S+) (\S+)", "\n".join(asked_since(start)))
    assert {host for host, _ in asked} == {"release-assets.githubusercontent.com"}
    assert ("release-assets.githubusercontent.com", "/install.sh") in asked
    assert product.plan("--detailed-exitcode").status == 0
    recorded = tomllib.loads(lock_file(product).read_text())["install"]
    assert recorded["script-url"] == f"{mirror}/install.sh"
