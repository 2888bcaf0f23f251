"""Real shells that scripts must work under."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash", "--posix"]}
"""All three are packages that `.ci/run` installs; a missing one fails, it is not skipped."""


def run(shell: str, script: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a script as a host would: on the standard input of `sh -s`."""
    argv = SHELLS[shell]
    assert shutil.which(argv[0]), f"{argv[0]} is not installed; scripts are tested under it"
    return subprocess.run(
        [*argv, "-s"], input=script.encode(), capture_output=True, cwd=cwd, timeout=30, check=False
    )
