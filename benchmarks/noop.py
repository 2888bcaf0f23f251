"""The main job and a second run of it, over the lab's five hosts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.timing import tell, wall
from tests.lab.lab import Lab
from tests.lab.product import Done, Product


def main() -> None:
    lab = Lab()
    was_up = lab.is_up()
    lab.fresh() if was_up else lab.up()
    try:
        with tempfile.TemporaryDirectory() as folder:
            product = Product(lab, Path(folder))
            product.init()
            print("stand-in K3s; PostgreSQL, nginx, systemd, sshd and packages are real")
            tell("apply, from bare hosts, with verification", [wall(product.apply)], "-")
            runs = [(wall_and_done(product)) for _ in range(5)]
            tell("apply that changes nothing, whole", [took for took, _ in runs], "-")
            parts = [split(took, done) for took, done in runs]
            tell("  passphrase derivation", [p[0] for p in parts], "-")
            tell("  final verification", [p[1] for p in parts], "-")
            tell("  the rest", [p[2] for p in parts], "1.5")
    finally:
        if not was_up:
            lab.down()


def wall_and_done(product: Product) -> tuple[float, Done]:
    kept: list[Done] = []
    took = wall(lambda: kept.append(product.apply()))
    assert kept[0].status == 0, kept[0]
    return took, kept[0]


def split(took: float, done: Done) -> tuple[float, float, float]:
    """Seconds for the passphrase, for the verification, and for all else, by the events."""
    events = done.events
    connecting = next(e for e in events if e["type"] == "host-state")
    passphrase = connecting["t"] - events[0]["t"]
    proofs = [e["t"] for e in events if "/verification/" in e.get("step", "")]
    verification = max(proofs) - min(proofs)
    return passphrase, verification, took - passphrase - verification
