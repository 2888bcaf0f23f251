"""A real OpenSSH server on loopback, with keys of its own, ended by its recorded pid."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SSHD = "/usr/sbin/sshd"
# HOME: whatever the machine's own .bashrc does is not part of these tests.
_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
PidFile {folder}/pid
HostKey {folder}/host_ed25519
HostKey {folder}/host_rsa
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
SetEnv HOME={folder}
UseDNS no
LogLevel VERBOSE
"""


@dataclass(frozen=True)
class Sshd:
    folder: Path
    port: int
    pid: int
    identity: Path
    """A private key that the server accepts for every user."""

    @property
    def host_key(self) -> str:
        return public(self.folder / "host_ed25519")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def sessions(self) -> set[int]:
        """The pids of the processes that serve a connection each."""
        return {pid for pid, parent in _parents().items() if parent == self.pid}


def keygen(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)]
    if kind == "rsa":
        argv += ["-b", "2048"]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


def public(path: Path) -> str:
    """`type base64` of a key pair."""
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def _certify(host_key: Path, authority: Path) -> None:
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "host", "-h", "-n", "127.0.0.1"]
    subprocess.run([*argv, f"{host_key}.pub"], check=True)


@contextmanager
def running_sshd(extra: str = "", *, authority: Path | None = None) -> Iterator[Sshd]:
    """A server whose configuration begins with `extra`; `authority` signs its ed25519 key."""
    folder = Path(tempfile.mkdtemp(prefix="k3s-tui-sshd."))
    folder.chmod(0o755)  # other users' logins read authorized_keys as themselves
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    try:
        keygen(folder / "host_ed25519")
        keygen(folder / "host_rsa", kind="rsa")
        identity = keygen(folder / "identity")
        (folder / "authorized_keys").write_text(public(identity) + "\n")
        if authority:
            _certify(folder / "host_ed25519", authority)
            extra += f"\nHostCertificate {folder}/host_ed25519-cert.pub"
        port = free_port()
        # First wins in sshd_config: what a test sets comes before the defaults.
        (folder / "config").write_text(extra + "\n" + _CONFIG.format(port=port, folder=folder))
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(folder / "config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(port, server, folder / "log")
            yield Sshd(folder, port, server.pid, identity)
        finally:
            children = {pid for pid, parent in _parents().items() if parent == server.pid}
            server.terminate()
            server.wait(10)
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


def _parents() -> dict[int, int]:
    """Parent pids of all processes, by pid."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents
