"""Logins to PostgreSQL by libpq, one after the other, from wherever this runs.

Reads a list of libpq's parameters as JSON on standard input, certificates as PEM under `cert`,
`key` and `ca`; answers with a list of what came of each, '' for a login that worked.  A test starts
it in the network namespace of a host, so that PostgreSQL sees that host's own address.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.lab import paths
from tests.lab.lab import Lab

Attempt = dict[str, Any]


def log_in(attempt: Attempt) -> str:
    """Words of the refusal, or ''."""
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Any] = {}
        for option, name in (("sslcert", "cert"), ("sslkey", "key"), ("sslrootcert", "ca")):
            path = Path(folder, name)
            files[option] = str(path)
            if text := attempt.pop(name, ""):
                path.touch(0o600)
                path.write_text(text)
        try:
            with psycopg.connect(**attempt, **files, connect_timeout=10) as connection:
                connection.execute("select 1")
        except psycopg.Error as error:
            return " ".join(str(error).split()) or type(error).__name__
    return ""


def from_host(lab: Lab, name: str, attempts: Sequence[Attempt]) -> list[str]:
    """What came of each, tried from a host of the lab."""
    space = lab.host(name).host.namespace
    done = subprocess.run(
        ["ip", "netns", "exec", space, sys.executable, "-m", __name__],
        input=json.dumps(attempts).encode(),
        capture_output=True,
        cwd=paths.REPOSITORY,
        timeout=120,
        check=True,
    )
    said: list[str] = json.loads(done.stdout)
    return said


if __name__ == "__main__":
    json.dump([log_in(attempt) for attempt in json.load(sys.stdin)], sys.stdout)
