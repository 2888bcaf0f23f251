"""The two small web servers on the bridge: packages over HTTP, releases over HTTPS.

Both read the file for every request anew, so that a test can replace what they serve.
"""

from __future__ import annotations

import shutil
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_RELEASE_PREFIX = "/k3s-io/k3s/releases/download/"
_ASSETS = "release-assets.githubusercontent.com"


class FileServer(ThreadingHTTPServer):
    """Serves what :meth:`resolve` makes of a request and writes an access log.

    A line of the log: ``TIME CLIENT METHOD HOST PATH STATUS BYTES``, the time in seconds since
    the epoch, the path as it was sent.
    """

    daemon_threads = True
    # Five hosts and their curls at once, nothing more; the default of 5 drops connections.
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], folder: Path, log: Path) -> None:
        self.folder = folder
        self._log = log
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def resolve(self, host: str, path: str) -> Path | str | None:
        """The file for a request, an address to redirect to, or ``None`` for "not found"."""
        raise NotImplementedError

    def note(self, line: str) -> None:
        """Add a line to the access log."""
        with self._lock, self._log.open("a") as log:
            log.write(f"{time.time():.3f} {line}\n")

    def below(self, name: str) -> Path | None:
        """The regular file ``name`` in the served folder; ``None`` when it leads elsewhere."""
        file = (self.folder / name).resolve()
        inside = self.folder.resolve() in file.parents
        return file if inside and file.is_file() else None


class PackageServer(FileServer):
    """``/packages/NAME`` is the repository's file NAME."""

    def resolve(self, host: str, path: str) -> Path | str | None:
        if not path.startswith("/packages/"):
            return None
        return self.below(path.removeprefix("/packages/"))


class ReleaseServer(FileServer):
    """The K3s downloads as the world serves them, from a folder.

    ``install.sh`` in the folder is https://get.k3s.io/; ``VERSION/FILE`` is that file of that
    release, to which github.com redirects as the real one does.
    """

    def __init__(
        self, address: tuple[str, int], folder: Path, log: Path, certificate: Path, key: Path
    ) -> None:
        super().__init__(address, folder, log)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake happens at the first read, in the connection's own thread.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def resolve(self, host: str, path: str) -> Path | str | None:
        if host == "get.k3s.io":
            return self.below("install.sh") if path == "/" else None
        if host == "github.com" and path.startswith(_RELEASE_PREFIX):
            name = path.removeprefix(_RELEASE_PREFIX)
            return None if self.below(name) is None else f"https://{_ASSETS}/{name}"
        if host == _ASSETS:
            return self.below(path.lstrip("/"))
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "k3s-tui-lab"
    timeout = 60

    def do_GET(self) -> None:
        self._serve(body=True)

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def _serve(self, *, body: bool) -> None:
        assert isinstance(self.server, FileServer)
        host = self.headers.get("Host", "-").partition(":")[0].lower()
        found = self.server.resolve(host, unquote(urlsplit(self.path).path))
        size = 0
        if isinstance(found, str):
            status = 302
            self._head(status, [("Location", found)])
        elif found is None:
            status = 404
            self._head(status, [])
        else:
            status = 200
            with found.open("rb") as file:
                size = found.stat().st_size
                self._head(status, [("Content-Type", "application/octet-stream")], size)
                if body:
                    shutil.copyfileobj(file, self.wfile, 1 << 20)
        client = self.client_address[0]
        self.server.note(f"{client} {self.command} {host} {self.path} {status} {size}")

    def _head(self, status: int, headers: list[tuple[str, str]], size: int = 0) -> None:
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(size))]:
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The access log is written by :meth:`FileServer.note` alone."""
