"""etcd inside the servers, as far as an installer sees it: who founds, who joins, who is a member.

Nothing is replicated: the founder keeps the rows, and those who joined ask it.  So this says
nothing about what a cluster survives.
"""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import dsn, files, journal, tokens
from .client import Client
from .datastore import Conflict, DatabaseError, Datastore, Row
from .errors import Fatal
from .options import Options

LABEL = "node-role.kubernetes.io/etcd=true"
PATH = "standin/etcd"
"""Below ``/v1-k3s/``; for servers only."""


class NoAnswer(DatabaseError):  # type: ignore[misc,valid-type]
    """The founder cannot be asked."""


def datastore(options: Options, password: str, folder: Path) -> Datastore:
    """The datastore that the options name: a database, or etcd, founded or joined.

    Raises:
        Fatal: neither, or what is named cannot be used.
    """
    if "datastore-endpoint" in options:
        return Datastore(dsn.read(options))
    if "server" in options:
        return Joined(options, password, folder)
    if options.flag("cluster-init"):
        return Founded(folder / "db" / "etcd" / "member")
    raise Fatal("standin: SQLite is not part of the stand-in")


class Founded(Datastore):
    """Rows in a file of this server's own."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "standin.json"
        self._turn = threading.RLock()
        self._values: dict[str, str] = {}

    def open(self) -> None:
        journal.info("Managed etcd cluster initializing")
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._file.exists():
            self._values = json.loads(self._file.read_bytes())

    def get(self, name: str) -> Row | None:
        with self._turn:
            found = self._values.get(name)
        return None if found is None else Row(0, name, base64.b64decode(found))

    def below(self, prefix: str) -> list[Row]:
        with self._turn:
            names = sorted(name for name in self._values if name.startswith(prefix))
            return [Row(0, name, base64.b64decode(self._values[name])) for name in names]

    def create(self, name: str, value: bytes) -> None:
        with self._turn:
            if name in self._values:
                raise Conflict(name)
            self.put(name, value)

    def put(self, name: str, value: bytes) -> None:
        with self._turn:
            self._values[name] = base64.b64encode(value).decode()
            self._save()

    def delete(self, name: str) -> bool:
        with self._turn:
            there = self._values.pop(name, None) is not None
            self._save()
        return there

    def compact(self) -> None:
        """Nothing is kept that could be."""

    def _save(self) -> None:
        files.write(self._file, json.dumps(self._values).encode())


class Joined(Datastore):
    """The founder's rows, asked for with the servers' token."""

    def __init__(self, options: Options, password: str, folder: Path) -> None:
        self._url = options.text("server").rstrip("/")
        self._pinned = tokens.parse(options.text("token")).ca_hash
        self._login = ("server", password)
        self._ca = folder / "etcd-founder-ca.crt"

    def open(self) -> None:
        try:
            served = Client().request(f"{self._url}/cacerts")
        except (OSError, http.client.HTTPException) as error:
            raise Fatal(f"failed to get CA certs: {self._url}: {error}") from error
        actual = tokens.ca_hash(served.body)
        if self._pinned and self._pinned != actual:
            raise Fatal(
                "token CA hash does not match the Cluster CA certificate hash: "
                f"{self._pinned} != {actual}"
            )
        files.write(self._ca, served.body, 0o644)
        journal.info(f"Adding member to etcd cluster of {self._url}")
        self._ask("get", "compact_rev_key")

    def get(self, name: str) -> Row | None:
        found = self._ask("get", name)
        return found[0] if found else None

    def below(self, prefix: str) -> list[Row]:
        return self._ask("below", prefix)

    def create(self, name: str, value: bytes) -> None:
        self._ask("create", name, value)

    def put(self, name: str, value: bytes) -> None:
        self._ask("put", name, value)

    def delete(self, name: str) -> bool:
        return bool(self._ask("delete", name))

    def compact(self) -> None:
        """The founder's affair."""

    def _ask(self, what: str, name: str, value: bytes = b"") -> list[Row]:
        asked = {"what": what, "name": name, "value": base64.b64encode(value).decode()}
        try:
            answer = Client(self._ca, basic=self._login).request(
                f"{self._url}/v1-k3s/{PATH}", method="POST", body=json.dumps(asked).encode()
            )
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"etcd: {error}") from error
        if answer.status == 409:
            raise Conflict(name)
        if answer.status in (401, 403):
            raise Fatal(f"etcd: {self._url} does not accept the token")
        if answer.status != 200:
            raise NoAnswer(f"etcd: HTTP {answer.status}")
        return [
            Row(0, row["name"], base64.b64decode(row["value"])) for row in json.loads(answer.body)
        ]


def answer(store: Datastore, body: bytes) -> list[dict[str, Any]]:
    """What the founder tells who joined.  Raises Conflict, KeyError, ValueError."""
    asked = json.loads(body)
    name, value = asked["name"], base64.b64decode(asked["value"])
    work: dict[str, Callable[[], object]] = {
        "get": lambda: store.get(name),
        "below": lambda: store.below(name),
        "create": lambda: store.create(name, value),
        "put": lambda: store.put(name, value),
        "delete": lambda: Row(0, name, b"") if store.delete(name) else None,
    }
    found = work[asked["what"]]()
    rows = found if isinstance(found, list) else [found] if isinstance(found, Row) else []
    return [{"name": row.name, "value": base64.b64encode(row.value).decode()} for row in rows]
