"""Five hosts on loopback, each a real sshd whose file system has places of its own.

Every sshd lives in a mount namespace in which ``/mnt``, ``/run`` and ``/usr/local/sbin`` are
folders of its host: locks, durable jobs and files are as real as anywhere, and a host is bare again
in milliseconds.  Only systemd is a stand-in.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import paths
from tests.ssh.sshd import SSHD, free_port, keygen, public
from tests.unit.hands import LocalHands
from tests.unit.resources.systemctl import Systemctl

HOSTS = ("postgres", "server-1", "server-2", "nginx", "agent")

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
PidFile none
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/identity.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
SetEnv HOME=/mnt
UseDNS no
LogLevel ERROR
"""

_IN_ITS_OWN = """
set -e
mount --bind "$1/mnt" /mnt
mount --bind "$1/sbin" /usr/local/sbin
mount --bind "$1/run" /run
shift
exec "$@"
"""

_VERSION = r"v-\d{8}T\d{6}Z-[0-9a-f]{8}"


def held(root: Path, host: str) -> Path:
    """While it exists, the durable job of that host goes on."""
    return root / host / "mnt" / "held"


@dataclass(frozen=True)
class Ended:
    """How a run ended: `status` is negative for a signal; `events` are those it wrote down."""

    status: int
    events: list[dict[str, Any]]
    err: str

    @property
    def changed(self) -> set[str]:
        return {e["step"] for e in self.events if e.get("outcome") == "changed"}

    def __str__(self) -> str:
        failed = [e for e in self.events if e.get("outcome") == "failed"]
        return f"status {self.status}, {len(self.events)} events, {failed}\n{self.err[-3000:]}"


class Fleet:
    """`root` has a folder for each host, and `laptop` for the operator's files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.laptop = root / "laptop"
        self._servers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        keygen(self.root / "host_key")
        keygen(self.root / "identity")
        ports = {}
        for name in HOSTS:
            folder = self.root / name
            for part in ("mnt", "run/sshd", "tools", "sbin"):
                (folder / part).mkdir(parents=True)
            hands = LocalHands("dash", folder / "tools")
            Systemctl(hands, folder / "systemd")
            for tool in ("systemctl", "journalctl"):
                text = (folder / "tools" / tool).read_text()
                placed = folder / "sbin" / tool
                placed.write_text(text.replace(str(folder / "systemd"), "/mnt/systemd"))
                placed.chmod(0o755)
            ports[name] = free_port()
            config = folder / "sshd_config"
            config.write_text(_CONFIG.format(port=ports[name], folder=self.root))
            inside = ["sh", "-c", _IN_ITS_OWN, "sh", str(folder), SSHD, "-D", "-e", "-f"]
            unshare = ["unshare", "--mount", "--propagation", "private"]
            with (folder / "log").open("wb") as log:
                server = subprocess.Popen(
                    [*unshare, *inside, str(config)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self._servers.append(server)
        for name, port in ports.items():
            _wait_for(port, self.root / name / "log")
        told = {"ports": ports, "host-key": public(self.root / "host_key")}
        (self.root / "fleet.json").write_text(json.dumps(told))

    def stop(self) -> None:
        for server in self._servers:
            server.terminate()
            server.wait(10)

    def fresh(self) -> None:
        """Bare hosts, and a laptop on which nothing was recorded.  Nothing may run any more."""
        for name in HOSTS:
            for folder in (self.root / name / "mnt", self.root / name / "run" / "k3s-tui"):
                _empty(folder)
            (self.root / name / "mnt" / "systemd").mkdir()
            (self.root / name / "mnt" / "hosts").write_text("127.0.0.1 localhost\n")
            (self.root / name / "mnt" / "pg_hba.conf").write_text("local all all peer\n")
        for name in ("postgres", "nginx"):
            held(self.root, name).touch()
        shutil.rmtree(self.laptop, ignore_errors=True)
        self.laptop.mkdir()

    def apply(self, kill_at: int | str = 0) -> Ended:
        """Run to the end, or until killed: at an event or a moment, see `fleet_run`."""
        argv = [sys.executable, "-m", "tests.faults.fleet_run", str(self.root), str(kill_at)]
        (self.root / "moments").unlink(missing_ok=True)
        events = self.laptop / "run" / "events.jsonl"
        events.unlink(missing_ok=True)
        done = subprocess.run(
            argv,
            cwd=paths.REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        lines = events.read_text().splitlines() if events.exists() else []
        return Ended(done.returncode, [json.loads(line) for line in lines], done.stderr.decode())

    def moments(self) -> list[str]:
        """Those in the hands that the last run has passed."""
        return (self.root / "moments").read_text().splitlines()

    def settle(self, within: float = 30.0) -> None:
        """Wait until no session and no durable job is left on any host."""
        deadline = time.monotonic() + within
        while left := self._busy():
            assert time.monotonic() < deadline, left
            time.sleep(0.05)

    def _busy(self) -> list[str]:
        """Processes in the hosts' namespaces, besides the sshd of each."""
        spaces = {_space(str(server.pid)) for server in self._servers}
        ours = {str(server.pid) for server in self._servers}
        found = []
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and entry.name not in ours:
                try:
                    if _space(entry.name) in spaces:
                        found.append(Path(f"{entry.path}/cmdline").read_bytes().decode())
                except OSError:
                    continue
        return found

    def acts(self) -> dict[str, list[str]]:
        """What was done for real: installations and starts, by host and in order."""
        found = {}
        for name in HOSTS:
            mnt = self.root / name / "mnt"
            installed = mnt / "acts"
            log = mnt / "systemd" / "log"
            lines = installed.read_text().splitlines() if installed.exists() else []
            starts = log.read_text().splitlines() if log.exists() else []
            found[name] = lines + [line for line in starts if line.startswith("restart")]
        return found

    def tree(self) -> dict[str, str]:
        """Every file of every host and of the laptop: kind, mode, owner, content.

        Random by nature, and left out: certificates and keys, the token that server 1 makes, what
        rests on those, and the logs of the systemd stand-in.
        """
        found: dict[str, str] = {}
        for name in (*HOSTS, "laptop"):
            top = self.root / name if name == "laptop" else self.root / name / "mnt"
            for path in sorted(top.rglob("*")):
                relative = re.sub(_VERSION, "v-*", str(path.relative_to(top)))
                if not re.match(r"run/|run$|acts$|systemd/", relative):
                    place = f"{name}:{relative}"
                    while place in found:  # one more version is one too many
                        place += " again"
                    found[place] = _told(path, relative)
        return found

    def moved(self) -> dict[str, int]:
        """When each file was written, in nanoseconds."""
        return {
            str(path): path.lstat().st_mtime_ns
            for name in HOSTS
            for path in (self.root / name / "mnt").rglob("*")
            if path.is_file() and ".remembered" not in path.name
        }


def _space(pid: str) -> str:
    return str(Path(f"/proc/{pid}/ns/mnt").readlink())


def _told(path: Path, relative: str) -> str:
    info = path.lstat()
    access = f"{stat.S_IMODE(info.st_mode):04o} {info.st_uid}:{info.st_gid}"
    if path.is_symlink():
        return f"link {re.sub(_VERSION, 'v-*', str(path.readlink()))}"
    if not path.is_file():
        return f"folder {access}"
    random = re.search(r"tls\.(key|crt)$|^token$|join$|kubeconfig$|/loaded/", relative)
    return f"file {access} {'random' if random else path.read_text()}"


def _empty(folder: Path) -> None:
    if folder.exists():
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


@contextmanager
def running_fleet(root: Path) -> Iterator[Fleet]:
    """Five bare hosts; ended by their recorded pids."""
    fleet = Fleet(root)
    try:
        fleet.start()
        fleet.fresh()
        yield fleet
    finally:
        fleet.stop()


KILLED = -signal.SIGKILL
