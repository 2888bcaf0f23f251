"""The process behind the bridge's address: DNS, package repository and release server.

Started by the lab inside the bridge's namespace: ``python -m tests.lab.services PACKAGES LAN``
(the second word only tells the services of several labs apart).
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from . import paths
from .dns import NameServer
from .topology import GATEWAY, RELEASE_NAMES
from .web import PackageServer, ReleaseServer


def main() -> None:
    """Serve until the process is ended."""
    packages = Path(sys.argv[1])
    servers = [
        NameServer(GATEWAY, dict.fromkeys(RELEASE_NAMES, GATEWAY), paths.NAMES),
        PackageServer((GATEWAY, 80), packages, paths.PACKAGES_LOG),
        ReleaseServer(
            (GATEWAY, 443),
            paths.RELEASES,
            paths.RELEASES_LOG,
            paths.RELEASES_CERTIFICATE,
            paths.RELEASES_KEY,
        ),
    ]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
