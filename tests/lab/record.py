"""``python -m tests.lab record``: the run that `k3s-tui demo` replays, made anew on bare hosts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import tomlkit

from . import network, paths, profile
from .command import LabError
from .lab import Lab, in_use
from .product import Product

DEMO = paths.REPOSITORY / "k3s_tui" / "demo"
RECORDING = DEMO / "how-to.jsonl"


def run(lab: Lab) -> int:
    """Write the events of the main job, whole, from a profile that lies in the current folder."""
    with in_use(within=800), tempfile.TemporaryDirectory() as folder:
        was_up = not lab.up()
        if was_up:
            lab.fresh()
        try:
            product = Product(lab, Path(folder), name="how-to")
            _tell(product, "secret", "init")
            _tell(product, "apply", "--yes")
            (made,) = product.recordings()
            text = made.read_text()
            wanted = tomlkit.parse(product.profile.read_text())
        finally:
            if not was_up:
                lab.down()
    for foreign in (folder, str(paths.REPOSITORY), profile.PASSPHRASE):
        if foreign in text:
            raise LabError(f"the recording speaks of {foreign}")
    wanted["ssh"]["identity"] = "agent"
    DEMO.mkdir(exist_ok=True)
    RECORDING.write_text(text)
    RECORDING.with_suffix(".toml").write_text(tomlkit.dumps(wanted))
    print(f"{RECORDING.relative_to(paths.REPOSITORY)}: {text.count(chr(10))} events")
    return 0


def _tell(product: Product, *words: str) -> None:
    """Run a command beside the profile, as its operator would, so that no path is in its events."""
    command = [sys.executable, "-m", "k3s_tui", *words, product.profile.name]
    subprocess.run(
        network.inside(command),
        env={**os.environ, **product.environment, "PYTHONPATH": str(paths.REPOSITORY)},
        cwd=product.folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
