"""What a command costs before it does anything: whole processes, as a shell starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.timing import tell, wall

TOOL = Path(sys.executable).with_name("k3s-tui")
EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "how-to.toml"


def main() -> None:
    def run(*words: str | Path) -> None:
        subprocess.run([TOOL, *words], check=True, stdout=subprocess.DEVNULL)

    run("--version")
    tell("k3s-tui --version", [wall(lambda: run("--version")) for _ in range(9)], "0.15")
    tell(
        "k3s-tui check how-to.toml", [wall(lambda: run("check", EXAMPLE)) for _ in range(9)], "0.4"
    )
