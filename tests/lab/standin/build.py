"""Packs the stand-in into one executable file: a shell header and the program behind it.

A Python interpreter runs an archive whatever stands before it, so the header is an ordinary
script that finds the lab's private interpreter and hands the file itself to it.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from ..topology import MARKER, STANDIN_HOME

_SOURCES = Path(__file__).with_name("k3s_standin")

_HEADER = f"""\
#!/bin/sh
# The k3s STAND-IN of k3s-tui's tests: it keeps k3s's contract towards an installer and does
# nothing else. It runs on the hosts of the test lab only.
if [ ! -f {MARKER} ] || [ ! -x {STANDIN_HOME}/usr/bin/python ]; then
    echo "this is the k3s STAND-IN of k3s-tui's tests; it runs in the lab only" >&2
    exit 1
fi
case ${{1:-}} in
--version | -v)
    # Answered here, at the speed of a program that is compiled.
    echo "k3s version @VERSION@ (standin)"
    echo "standin: the test lab's, not Kubernetes"
    exit
    ;;
esac
set -- {STANDIN_HOME}/usr/lib/*-linux-gnu* -- "$0" "$@"
libraries=$1
while [ "$1" != -- ]; do shift; done
shift
export PYTHONHOME={STANDIN_HOME}/usr PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH="$libraries"
unset PYTHONPATH PYTHONSTARTUP
exec {STANDIN_HOME}/usr/bin/python -s "$@"
"""

_MAIN = """\
import os
import sys

# For the interpreter, not for what it may start.
for name in ("PYTHONHOME", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(name, None)

from k3s_standin.main import main

sys.exit(main(sys.argv, {version!r}))
"""

_DATE = (1980, 1, 1, 0, 0, 0)


def k3s_executable(version: str) -> bytes:
    """The executable that gives itself out for ``version``; the same bytes every time."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(zipfile.ZipInfo("__main__.py", _DATE), _MAIN.format(version=version))
        for source in sorted(_SOURCES.glob("*.py")):
            name = zipfile.ZipInfo(f"k3s_standin/{source.name}", _DATE)
            packed.writestr(name, source.read_bytes())
    return _HEADER.replace("@VERSION@", version).encode() + archive.getvalue()
