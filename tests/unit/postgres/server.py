"""Throw-away PostgreSQL clusters on a loopback port, run by the user `postgres` as on a host."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from k3s_tui.hosts.script import quote
from k3s_tui.resources.postgres.psql import Psql

CONF = """\
unix_socket_directories = '{folder}'
fsync = off
max_connections = 20
autovacuum = off
"""


@dataclass(frozen=True)
class Server:
    """A cluster below `folder`, which is its socket folder too."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def psql(self) -> Psql:
        return Psql(self.port, str(self.folder))

    @property
    def config_file(self) -> Path:
        return self.data / "postgresql.conf"

    @property
    def hba_file(self) -> Path:
        return self.data / "pg_hba.conf"

    @property
    def restart(self) -> str:
        """sh that restarts it, as a unit's restart would."""
        return quote_as_postgres(*self._control("restart"))

    def start(self) -> None:
        as_postgres(*self._control("start"))

    def stop(self) -> None:
        as_postgres(*self._control("stop"))

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run SQL as the superuser; what psql printed."""
        where = ["-h", str(self.folder), "-p", str(self.port), "-d", database]
        return as_postgres("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *where, "-c", text).strip()

    def started(self) -> str:
        return self.sql("select pg_postmaster_start_time()")

    def loaded(self) -> str:
        return self.sql("select pg_conf_load_time()")

    def _control(self, verb: str) -> tuple[str, ...]:
        options = [] if verb == "stop" else ["-o", f"-p {self.port}", "-l", str(self.log)]
        program = str(binaries() / "pg_ctl")
        return (program, verb, "-w", "-s", "-m", "fast", "-D", str(self.data), *options)

    @property
    def log(self) -> Path:
        return self.folder / "server.log"


def binaries() -> Path:
    """PostgreSQL's programs.  They must be here on Linux as root, where CI runs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    if sys.platform == "linux" and os.getuid() == 0:
        pytest.fail("PostgreSQL is not installed: apt-get install postgresql")
    pytest.skip("needs PostgreSQL, and root to become its user")


def as_postgres(*argv: str) -> str:
    done = subprocess.run(
        ["runuser", "-u", "postgres", "--", *argv],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def quote_as_postgres(*argv: str) -> str:
    return " ".join(quote(word) for word in ("runuser", "-u", "postgres", "--", *argv))


def new_folder() -> Path:
    """A folder that the user postgres owns; pytest's own are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="k3s-tui-pg-"))
    folder.chmod(0o755)
    shutil.chown(folder, "postgres", "postgres")
    return folder


def initdb(folder: Path) -> None:
    as_postgres(
        *(str(binaries() / "initdb"), "-D", str(folder / "data"), "-E", "UTF8", "--locale=C"),
        *("--auth-local=peer", "--auth-host=scram-sha-256", "--no-sync"),
    )


def launch(template: Path) -> Server:
    """A started copy of the cluster in `template`."""
    server = Server(new_folder(), free_port())
    subprocess.run(["cp", "-a", template / "data", server.folder], check=True)
    with server.config_file.open("a") as conf:
        conf.write(CONF.format(folder=server.folder))
    server.start()
    return server


def remove(server: Server) -> None:
    if (server.data / "postmaster.pid").exists():
        server.stop()
    shutil.rmtree(server.folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
