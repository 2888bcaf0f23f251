"""What is not ours, and what is not what it was: changed downloads, somebody else's database."""

from __future__ import annotations

import platform
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w

from . import paths, releases
from .lab import Lab
from .operators import Operators, Snapshot, changes, lock_file, refused, snapshot
from .product import Product


@pytest.fixture(scope="module")
def operators(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operators:
    return Operators(bare_hosts, tmp_path_factory.mktemp("operators"))


# -- downloads ------------------------------------------------------------------------------------

NODES = ("k3s-server-1", "k3s-server-2", "k3s-agent")


def test_downloads_that_are_not_what_was_recorded(operators: Operators, bare_hosts: Lab) -> None:
    product = operators.another()
    install = {
        "version": releases.offered_version(),
        "script-url": "https://get.k3s.io",
        "sha256": dict.fromkeys(("install.sh", f"k3s-{_architecture()}"), "0" * 64),
    }
    wanted = {"host-keys": bare_hosts.host_keys, "install": install}
    lock_file(product).write_text(tomli_w.dumps(wanted))
    done = refused(product, 5, "nothing was changed", "0" * 64, "lab.lock.toml")
    told = done.of("planned", verdict="problem")
    assert {event["step"] for event in told} == {
        f"k3s-server-1/preflight/published-{what}" for what in ("script", "binary")
    }
    assert all(event["hint"] for event in told)
    assert tomllib.loads(lock_file(product).read_text()) == wanted


def test_downloads_that_changed_after_the_first_use(operators: Operators, bare_hosts: Lab) -> None:
    """The one host that would be asked beforehand has the right ones: the others find out."""
    product = operators.another()
    first = product.apply("--only", "k3s-server-1/installation/*", "--only", "laptop/*/checksums")
    assert first.status == 0, first
    recorded = tomllib.loads(lock_file(product).read_text())
    assert recorded["install"]["sha256"].keys() == {"install.sh", f"k3s-{_architecture()}"}
    before = snapshot(bare_hosts)
    try:
        for path in (paths.RELEASES / "install.sh", *_binaries()):
            kept = path.with_name(f"{path.name}.kept")
            shutil.copy2(path, kept)
            path.write_text("#!/bin/sh\n: >/root/executed\n")
        second = product.apply("--only", "*/installation/*")
    finally:
        for kept in paths.RELEASES.rglob("*.kept"):
            kept.replace(kept.with_suffix(""))
    assert second.status == 1, second
    assert second.steps("failed") == {
        f"{node}/installation/{what}" for node in NODES[1:] for what in ("script", "binary")
    }
    for event in second.of("step-done", outcome="failed"):
        assert "its SHA-256 is " in event["error"] and event["hint"], event
    assert "run again to resume" in second.err
    # They were fetched, and nothing of them is left: neither in place nor beside it.
    assert not changes(before, snapshot(bare_hosts))
    assert tomllib.loads(lock_file(product).read_text()) == recorded
    for node in NODES:
        assert bare_hosts.host(node).sh("ls /root/executed 2>/dev/null || echo no") == "no\n"


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}[platform.machine()]


def _binaries() -> list[Path]:
    folder = paths.RELEASES / releases.offered_version()
    return [path for path in folder.iterdir() if not path.name.endswith(".txt")]


# -- somebody else's cluster ----------------------------------------------------------------------


def test_a_database_that_holds_another_clusters_data(
    operators: Operators, bare_hosts: Lab, tmp_path: Path
) -> None:
    """Their cluster is made by k3s-tui as well: only the secrets tell whose it is."""
    bare_hosts.fresh()
    theirs = operators.another()
    made = theirs.apply()
    assert made.status == 0, made
    ours = Product(bare_hosts, tmp_path)
    assert ours.init().status == 0

    starts = _starts(bare_hosts)
    before = _managed(bare_hosts)
    for done in (ours.plan(), ours.apply()):
        assert done.status == 5, done
        (told,) = done.of("planned", step="postgres/preflight/ownership")
        assert told["verdict"] == "problem" and "another cluster's data" in told["summary"], told
        assert "nothing was changed" in done.err and "\ntry: " in done.err, done
    assert not changes(before, _managed(bare_hosts))
    assert _starts(bare_hosts) == starts
    assert theirs.run("verify", theirs.profile).status == 0


def _managed(lab: Lab) -> Snapshot:
    """What k3s-tui could write; a running cluster writes elsewhere all the time."""
    ours = re.compile(r"/etc/|/usr/|/var/lib/k3s-tui/")
    return {
        name: {path: info for path, info in files.items() if ours.match(path)}
        for name, files in snapshot(lab).items()
    }


def _starts(lab: Lab) -> list[str]:
    """When each unit of the cluster started last."""
    units = "k3s k3s-agent k3s-tui-lb postgresql@15-main"
    ask = f"systemctl show -p ActiveEnterTimestampMonotonic -p MainPID {units}"
    return [host.sh(ask) for host in lab.containers.values()]
