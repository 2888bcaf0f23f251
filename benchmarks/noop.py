"""The main job and a second run of it, over the lab's five hosts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import tell, wall
from k3s_tui.profile import age
from tests.lab import network, paths, profile
from tests.lab.lab import Lab, in_use
from tests.lab.product import Done, Product

_RUNS = 7


def main() -> None:
    lab = Lab()
    with in_use(within=800), tempfile.TemporaryDirectory() as folder:
        was_up = not lab.up()
        if was_up:
            lab.fresh()
        try:
            measure(Product(lab, Path(folder)))
        finally:
            if not was_up:
                lab.down()


def measure(product: Product) -> None:
    product.init()
    print("five hosts of the lab; the K3s is a stand-in unless a real one was put into it")
    tell("apply, from bare hosts, with verification", [wall(product.apply)], "-")
    tell("apply that changes nothing, whole", [wall(product.apply) for _ in range(3)], "-")

    sealed = product.profile.with_suffix(".secrets").read_bytes()
    store = product.folder / "store"
    store.touch(0o600)
    derivations = []
    for _ in range(3):
        derivations.append(
            wall(lambda: store.write_bytes(asyncio.run(age.decrypt(sealed, profile.PASSPHRASE))))
        )
    tell("  passphrase derivation, beside connecting", derivations, "-")

    runs = [unsealed(product, store) for _ in range(_RUNS)]
    proofs = [verification(done) for _, done in runs]
    tell("  final verification", proofs, "-")
    rest = [took - proof for (took, _), proof in zip(runs, proofs, strict=True)]
    tell("  all else: process, connections, facts, plan", rest, "1.5")


def unsealed(product: Product, store: Path) -> tuple[float, Done]:
    """One run without the derivation: its seconds, and what it said."""
    words: list[str | Path] = [sys.executable, "-m", "benchmarks.without_age", store]
    words += ["apply", product.profile, "--yes", "--json"]
    kept: list[subprocess.CompletedProcess[str]] = []

    def run() -> None:
        kept.append(
            subprocess.run(
                network.inside(words),
                env=product.environment | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                cwd=paths.REPOSITORY,
                capture_output=True,
                text=True,
                check=True,
            )
        )

    took = wall(run)
    done = Done(kept[0].returncode, kept[0].stdout, kept[0].stderr)
    assert not done.steps("changed"), done
    return took, done


def verification(done: Done) -> float:
    """Seconds that the final verification took, by its events."""
    moments: list[float] = [e["t"] for e in done.events if "/verification/" in e.get("step", "")]
    return max(moments) - min(moments)


if __name__ == "__main__":
    main()
