"""``python -m tests.lab.autoplay PROFILE``: the wizard presses its keys itself, on real hosts.

No command of k3s-tui does: it presses the key that changes hosts, too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from k3s_tui.tui.launch import Looks, start


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.autoplay", description=__doc__)
    parser.add_argument("--lang")
    parser.add_argument("--ascii", action="store_true")
    parser.add_argument("--no-mouse", action="store_true")
    parser.add_argument("profile", type=Path)
    arguments = parser.parse_args()
    looks = Looks(arguments.lang, arguments.ascii, arguments.no_mouse)
    return start(arguments.profile, looks=looks, autoplay=True)


if __name__ == "__main__":
    sys.exit(main())
