"""``python -m tests.lab demo``: from nothing to a cluster on this machine, watched."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import network, paths, releases
from .lab import Lab, in_use
from .product import Product


@dataclass(frozen=True)
class Way:
    """How the demo's wizard is to be: flags for its looks, and whether it presses its keys."""

    looks: tuple[str, ...] = ()
    autoplay: bool = False


def replay(way: Way) -> int:
    """Where there can be no lab: the wizard over a recording of one; returns the exit status."""
    print("a recording of a real run is shown instead: k3s-tui demo", file=sys.stderr, flush=True)
    flags = ["--autoplay"] if way.autoplay else []
    command = [sys.executable, "-m", "k3s_tui", *way.looks, "demo", *flags]
    return subprocess.run(command, cwd=paths.REPOSITORY, check=False).returncode


def run(lab: Lab, way: Way = Way()) -> int:
    """Bring the lab up, make it a cluster, show its nodes, take it down; returns the exit status.

    A lab that was up already is made bare first, and left up.
    """
    with in_use(within=800), tempfile.TemporaryDirectory(prefix="k3s-tui-demo-") as folder:
        was_up = not lab.up()
        if was_up:
            lab.fresh()
        try:
            return _show(lab, Product(lab, Path(folder), name="demo"), way)
        finally:
            if not was_up:
                print("taking the lab down", flush=True)
                lab.down()


def _show(lab: Lab, product: Product, way: Way) -> int:
    print(
        "\nFive bare hosts are up. "
        + (
            "K3s is a real one."
            if releases.offers_real_k3s()
            else "K3s is a STAND-IN that keeps its contract; everything else is real."
        )
    )
    if sys.stdin.isatty() and sys.stdout.isatty():
        return _wizard(lab, product, way)
    apply = ("apply", product.profile, "--yes")
    for words in (("secret", "init", product.profile), ("plan", product.profile), apply):
        status = _tell(product, *words)
        if status:
            return status
    print("\nThe same once more, which finds nothing to do:")
    status = _tell(product, *apply)
    print("\n$ kubectl get nodes -o wide    (on k3s-server-1)", flush=True)
    print(lab.host("k3s-server-1").sh("k3s kubectl get nodes -o wide"), flush=True)
    return status


def _wizard(lab: Lab, product: Product, way: Way) -> int:
    """On a terminal: the wizard, with everything filled in."""
    program = "tests.lab.autoplay" if way.autoplay else "k3s_tui"
    environment = {name: v for name, v in product.environment.items() if name != "NO_COLOR"}
    status = subprocess.run(
        network.inside([sys.executable, "-m", program, *way.looks, product.profile]),
        env={**os.environ, **environment},
        cwd=paths.REPOSITORY,
        check=False,
    ).returncode
    nodes = lab.host("k3s-server-1").sh("k3s kubectl get nodes -o wide 2>/dev/null || true")
    print(nodes or "There is no cluster yet.", flush=True)
    return status


def _tell(product: Product, *words: str | Path) -> int:
    """Run a command on this terminal, so that its progress shows."""
    print(f"\n$ k3s-tui {' '.join(str(getattr(word, 'name', word)) for word in words)}", flush=True)
    return subprocess.run(
        network.inside([sys.executable, "-m", "k3s_tui", *words]),
        env={**os.environ, **product.environment},
        cwd=paths.REPOSITORY,
        check=False,
    ).returncode
