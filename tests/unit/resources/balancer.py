"""A real load balancer on loopback, and servers that answer as K3s does, for tests of both."""

from __future__ import annotations

import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from k3s_tui.families.debian import DEBIAN
from k3s_tui.hosts.script import quote
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_server
from k3s_tui.resources import nginx
from tests.unit.hands import LocalHands


def free_port() -> int:
    """One that no client gets by chance, between the asking and the listening."""
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Server:
    """Answers `pong` over TLS; sessions in which nobody asks stay open until `hang_up`."""

    def __init__(self, address: str, port: int, folder: Path) -> None:
        now = datetime.now(UTC)
        pair = Authority.create("CA", 10, now).issue_short_lived(datastore_server("x"), now)
        files = folder / f"{address}.crt", folder / f"{address}.key"
        for file, pem in zip(files, (pair.certificate_pem, pair.key.reveal()), strict=True):
            file.write_text(pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*files)
        self._listener = socket.create_server((address, port), backlog=64)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                session, _ = self._listener.accept()
            except OSError:
                return
            # A copy: TLS takes the socket away.
            self._open.append(session.dup())
            threading.Thread(target=self._answer, args=(session,), daemon=True).start()

    def _answer(self, session: socket.socket) -> None:
        try:
            with self._context.wrap_socket(session, server_side=True) as tls:
                if tls.recv(4096):
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong")
        except OSError:
            pass

    @property
    def sessions(self) -> int:
        return len(self._open)

    def hang_up(self) -> None:
        """End every session."""
        while self._open:
            with self._open.pop() as session, suppress(OSError):
                session.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        # Without it, a thread that waits in `accept` would keep the port listening.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()


class Balancer:
    """nginx with the product's configuration, its paths moved to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.access_log = folder / "access.log"
        self._process: subprocess.Popen[bytes] | None = None

    def moved(self, text: str) -> str:
        """A text of the product's, with paths of the test."""
        for path in (nginx.LOG_FOLDER, nginx.PID_PATH, nginx.CONFIG_PATH):
            name = "" if path == nginx.LOG_FOLDER else path.rpartition("/")[2]
            text = text.replace(path, str(self.folder / name).rstrip("/"))
        return text

    def configure(self, upstreams: list[str], port: int | None = None) -> None:
        text = nginx.config(
            upstreams,
            port=port or self.port,
            method="least_conn",
            user="www-data",
            load_stream=DEBIAN.nginx.load_stream,
        )
        (self.folder / "k3s-tui-lb.conf").write_text(self.moved(text))

    def start(self, upstreams: list[str], hands: LocalHands) -> None:
        self.configure(upstreams)
        configuration = self.folder / "k3s-tui-lb.conf"
        argv = ["/usr/sbin/nginx", "-c", str(configuration), "-g", "daemon off;"]
        self._process = subprocess.Popen(argv)
        pid = self.folder / "k3s-tui-lb.pid"
        hands.tool("systemctl", f"kill -HUP $(cat {quote(str(pid))})\n")
        wait_until(self._listens, "nginx does not listen")

    def _listens(self) -> bool:
        listed = subprocess.run(
            ["ss", "-Hltnp", f"sport = :{self.port}"], capture_output=True, check=True, text=True
        )
        # The main process and its workers.
        return listed.stdout.count("pid=") > 1

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
