"""What servers share: the certificate authorities, kept in the datastore under the token.

The first server locks the row by creating it empty, makes the authorities and fills it; the
others read them. The value is encrypted under the token, so that a dump shows no key.
"""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path

from . import certificates, files, journal, sealing, tokens
from .certificates import Pair
from .datastore import Conflict, Datastore
from .errors import Fatal

FILES: dict[str, str] = {
    "ServerCA": "tls/server-ca.crt",
    "ServerCAKey": "tls/server-ca.key",
    "ClientCA": "tls/client-ca.crt",
    "ClientCAKey": "tls/client-ca.key",
    "RequestHeaderCA": "tls/request-header-ca.crt",
    "RequestHeaderCAKey": "tls/request-header-ca.key",
    "ServiceKey": "tls/service.key",
}
"""Name in the bootstrap data to the file below the server's folder."""

_LOCK_ATTEMPTS = 5


class Authorities:
    """The cluster's authorities, in a server's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def server(self) -> Pair:
        """Signs what servers present."""
        return self._pair("ServerCA")

    @property
    def client(self) -> Pair:
        """Signs what clients present."""
        return self._pair("ClientCA")

    def _pair(self, name: str) -> Pair:
        certificate, key = self.folder / FILES[name], self.folder / FILES[name + "Key"]
        return Pair(certificate.read_bytes(), key.read_bytes())


def prepare(datastore: Datastore, password: str, folder: Path) -> Authorities:
    """Agree with the datastore on the authorities; afterwards they are in ``folder``.

    Raises:
        Fatal: the datastore belongs to a cluster with another token, or the files on disk are
            newer than its data.
    """
    name = tokens.bootstrap_key(password)
    for _ in range(_LOCK_ATTEMPTS):
        row = datastore.get(name)
        if row is None:
            if any(other.value for other in datastore.below("/bootstrap/")):
                raise Fatal(
                    "starting kubernetes: preparing server: bootstrap data already found and "
                    "encrypted with different token"
                )
            try:
                datastore.create(name, b"")
            except Conflict:
                continue
            journal.info("Bootstrap key locked for initial create")
            _make(folder)
            datastore.put(name, sealing.encrypt(_collect(folder), password))
            return Authorities(folder)
        if row.value:
            journal.info("Reconciling bootstrap data between datastore and disk")
            _reconcile(sealing.decrypt(row.value, password), folder)
            return Authorities(folder)
        journal.info(
            "Bootstrap key already locked - waiting for data to be populated by another server"
        )
        time.sleep(1)
    # Whoever held the lock is gone.
    datastore.delete(name)
    return prepare(datastore, password, folder)


def _make(folder: Path) -> None:
    """Make what is missing; authorities placed there beforehand are used."""
    for name, common in (
        ("ServerCA", "k3s-standin-server-ca"),
        ("ClientCA", "k3s-standin-client-ca"),
        ("RequestHeaderCA", "k3s-standin-request-header-ca"),
    ):
        if not (folder / FILES[name]).exists():
            pair = certificates.new_authority(common)
            files.write(folder / FILES[name], pair.certificate, 0o644)
            files.write(folder / FILES[name + "Key"], pair.key)
    if not (folder / FILES["ServiceKey"]).exists():
        files.write(folder / FILES["ServiceKey"], certificates.new_key())


def _collect(folder: Path) -> bytes:
    data = {}
    for name, path in FILES.items():
        file = folder / path
        data[name] = {
            "Timestamp": file.stat().st_mtime,
            "Content": base64.b64encode(file.read_bytes()).decode(),
        }
    return json.dumps(data).encode()


def _reconcile(plain: bytes, folder: Path) -> None:
    newer = []
    wanted: dict[Path, tuple[bytes, float]] = {}
    for name, entry in json.loads(plain).items():
        file, content = folder / FILES[name], base64.b64decode(entry["Content"])
        if file.exists() and file.read_bytes() == content:
            continue
        if file.exists() and file.stat().st_mtime > entry["Timestamp"]:
            newer.append(str(file))
        wanted[file] = (content, entry["Timestamp"])
    if newer:
        raise Fatal(
            f"starting kubernetes: preparing server: {', '.join(newer)} newer than datastore and "
            "could cause a cluster outage. Remove the file(s) from disk and restart to be "
            "recreated from datastore."
        )
    for file, (content, written) in wanted.items():
        files.write(file, content, 0o644 if file.suffix == ".crt" else 0o600)
        os.utime(file, (written, written))
