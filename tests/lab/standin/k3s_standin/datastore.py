"""kine's table in a database: append-only rows, the newest of a name counts."""

from __future__ import annotations

import importlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from . import journal, mysql
from .dsn import Address
from .errors import Fatal

# Present on lab hosts only, and without type information.
_psycopg2: Any = importlib.import_module("psycopg2")

T = TypeVar("T")

_PINGS = 300
_KEPT_REVISIONS = 1000

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS kine (
        id BIGSERIAL PRIMARY KEY, name text COLLATE "C", created INTEGER, deleted INTEGER,
        create_revision BIGINT, prev_revision BIGINT, lease INTEGER,
        value bytea, old_value bytea)""",
    "CREATE INDEX IF NOT EXISTS kine_name_index ON kine (name)",
    "CREATE INDEX IF NOT EXISTS kine_name_id_index ON kine (name, id)",
    "CREATE INDEX IF NOT EXISTS kine_id_deleted_index ON kine (id, deleted)",
    "CREATE INDEX IF NOT EXISTS kine_prev_revision_index ON kine (prev_revision)",
    "CREATE UNIQUE INDEX IF NOT EXISTS kine_name_prev_revision_uindex"
    " ON kine (name, prev_revision)",
    "CREATE INDEX IF NOT EXISTS kine_list_query_index ON kine (name, id DESC, deleted)",
)

_STATES = (
    ("password authentication failed", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("pg_hba.conf rejects connection", "28000"),
    ("requires a valid client certificate", "28000"),
    ("certificate authentication failed", "28000"),
    ("permission denied", "42501"),
    ("does not exist", "3D000"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
)


class Conflict(Exception):
    """Another server wrote that name first."""


@dataclass(frozen=True)
class Row:
    """The newest row of a name."""

    id: int
    name: str
    value: bytes


def describe(error: Exception) -> str:
    """A driver error in one line, with the SQLSTATE that PostgreSQL gave it."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    state = getattr(error, "pgcode", None)
    if state is None:
        state = next((code for words, code in _STATES if words in text), None)
    return f"{text} (SQLSTATE {state})" if state else text


class Datastore:
    """One connection, made again when it breaks; every method may be called by any thread."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.RLock()
        self._connection: Any = None

    def open(self) -> None:
        """Connect, waiting for the database up to five minutes, and see to the table.

        Raises:
            Fatal: no connection in that time, or no right to make the table.
        """
        journal.info(
            "Configuring pgx database connection pooling: maxIdleConns=2, maxOpenConns=0, "
            "connMaxLifetime=0s, connMaxIdleTime=0s"
        )
        self._ensure_database()
        for _ in range(_PINGS):
            try:
                self._execute("SELECT 1")
                break
            except _psycopg2.Error as error:
                journal.error(f"Failed to ping database connection: {describe(error)}")
                time.sleep(1)
        else:
            raise Fatal(
                "failed to create driver for configured endpoint: context deadline exceeded"
            )
        journal.info("Configuring database table schema and indexes, this may take a moment...")
        try:
            for statement in mysql.SCHEMA if self._address.is_mysql else _SCHEMA:
                self._execute(statement)
        except _psycopg2.Error as error:
            raise Fatal(
                f"failed to create driver for configured endpoint: {describe(error)}"
            ) from error
        journal.info("Database tables and indexes are up to date")
        if self.get("compact_rev_key") is None:
            self.create("compact_rev_key", b"")

    def _ensure_database(self) -> None:
        # Needs no right and no success: where the database was made beforehand, as it should be,
        # the narrow access rules refuse this and the attempt only leaves a line in both logs.
        name = self._address.database
        try:
            connection = self._connect(database="" if self._address.is_mysql else "postgres")
        except _psycopg2.Error as error:
            journal.warning(f"failed to ensure existence of database {name}: {describe(error)}")
            return
        try:
            with connection.cursor() as cursor:
                if self._address.is_mysql:
                    cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{name}`")
                    return
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
                if cursor.fetchone() is None:
                    quoted = name.replace('"', '""')
                    cursor.execute(f'CREATE DATABASE "{quoted}"')
        except _psycopg2.Error as error:
            journal.warning(f"failed to create database {name}: {describe(error)}")
        finally:
            connection.close()

    def get(self, name: str) -> Row | None:
        """The live row of that name."""
        found = self._rows("name = %s", name)
        return found[0] if found else None

    def below(self, prefix: str) -> list[Row]:
        """The live rows whose names start with ``prefix``, by name."""
        return self._rows("left(name, char_length(%s)) = %s", prefix, prefix)

    def create(self, name: str, value: bytes) -> None:
        """Write a name that does not exist.

        Raises:
            Conflict: it does.
        """

        def insert(cursor: Any) -> None:
            last = _newest(cursor, name)
            if last is not None and not last[1]:
                raise Conflict(name)
            cursor.execute(
                "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease,"
                " value, old_value) VALUES (%s, 1, 0, 0, %s, 0, %s, NULL)",
                (name, last[0] if last else 0, value),
            )

        self._write(insert)

    def put(self, name: str, value: bytes) -> None:
        """Write a name whether or not it exists."""
        try:
            self.create(name, value)
            return
        except Conflict:
            pass

        def insert(cursor: Any) -> None:
            cursor.execute(
                "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease,"
                " value, old_value) SELECT name, 0, 0,"
                " CASE WHEN create_revision = 0 THEN id ELSE create_revision END, id, 0, %s, value"
                " FROM kine WHERE name = %s ORDER BY id DESC LIMIT 1",
                (value, name),
            )

        self._write(insert)

    def delete(self, name: str) -> bool:
        """Delete a name; whether it existed."""
        if self.get(name) is None:
            return False

        def insert(cursor: Any) -> None:
            cursor.execute(
                "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease,"
                " value, old_value) SELECT name, 0, 1, create_revision, id, 0, NULL, value"
                " FROM kine WHERE name = %s ORDER BY id DESC LIMIT 1",
                (name,),
            )

        self._write(insert)
        return True

    def compact(self) -> None:
        """Delete rows that newer ones of their name made useless, but for the last thousand."""
        self._execute(
            "DELETE FROM kine WHERE id IN (SELECT id FROM (SELECT k.id FROM kine k"
            " WHERE k.id < (SELECT max(id) FROM kine) - %s AND (k.deleted = 1 OR"
            " EXISTS (SELECT 1 FROM kine n WHERE n.name = k.name AND n.id > k.id))) AS useless)",
            _KEPT_REVISIONS,
        )

    def _execute(self, statement: str, *values: object) -> None:
        self._do(lambda cursor: cursor.execute(statement, values or None))

    def _rows(self, condition: str, *values: str) -> list[Row]:
        def select(cursor: Any) -> list[Row]:
            cursor.execute(
                "SELECT k.id, k.name, k.value FROM kine k JOIN (SELECT max(id) AS id FROM kine"
                f" WHERE {condition} GROUP BY name) AS newest ON newest.id = k.id"
                " WHERE k.deleted = 0 ORDER BY k.name",
                values,
            )
            return [Row(id, name, bytes(value or b"")) for id, name, value in cursor.fetchall()]

        return self._do(select)

    def _write(self, insert: Callable[[Any], None]) -> None:
        try:
            self._do(insert)
        except _psycopg2.IntegrityError as error:  # the unique index over name and revision
            raise Conflict(str(error)) from error

    def _do(self, work: Callable[[Any], T]) -> T:
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            try:
                with self._connection.cursor() as cursor:
                    return work(cursor)
            except (_psycopg2.OperationalError, _psycopg2.InterfaceError):
                self._connection.close()
                raise

    def _connect(self, database: str | None = None) -> Any:
        parameters = dict(self._address.parameters)
        if database is not None:
            parameters["dbname"] = database
        if self._address.is_mysql:
            return mysql.Connection(parameters)
        connection = _psycopg2.connect(**parameters)
        connection.autocommit = True
        return connection


def _newest(cursor: Any, name: str) -> tuple[int, bool] | None:
    cursor.execute("SELECT id, deleted FROM kine WHERE name = %s ORDER BY id DESC LIMIT 1", (name,))
    found = cursor.fetchone()
    return None if found is None else (found[0], bool(found[1]))


DatabaseError: type[Exception] = _psycopg2.Error
