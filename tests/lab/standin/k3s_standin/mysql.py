"""MySQL's driver with the manners of PostgreSQL's, as far as :mod:`.datastore` needs them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

# Present on lab hosts only.
_psycopg2: Any = importlib.import_module("psycopg2")
_pymysql: Any = importlib.import_module("pymysql")

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS kine (
        id BIGINT UNSIGNED AUTO_INCREMENT, name VARCHAR(630) CHARACTER SET ascii, created INTEGER,
        deleted INTEGER, create_revision BIGINT UNSIGNED, prev_revision BIGINT UNSIGNED,
        lease INTEGER, value MEDIUMBLOB, old_value MEDIUMBLOB, PRIMARY KEY (id))""",
    "CREATE INDEX IF NOT EXISTS kine_name_index ON kine (name)",
    "CREATE INDEX IF NOT EXISTS kine_name_id_index ON kine (name, id)",
    "CREATE INDEX IF NOT EXISTS kine_id_deleted_index ON kine (id, deleted)",
    "CREATE INDEX IF NOT EXISTS kine_prev_revision_index ON kine (prev_revision)",
    "CREATE UNIQUE INDEX IF NOT EXISTS kine_name_prev_revision_uindex"
    " ON kine (name, prev_revision)",
)


class Connection:
    """One connection; every error is the one of psycopg2, with Go's words."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        files = {"ca": "sslrootcert", "cert": "sslcert", "key": "sslkey"}
        tls = {name: parameters[key] for name, key in files.items() if key in parameters}
        try:
            self._connection = _pymysql.connect(
                host=parameters["host"].strip("[]"),
                port=int(parameters["port"]),
                user=parameters["user"],
                password=parameters["password"],
                database=parameters["dbname"] or None,
                ssl=tls or None,
                connect_timeout=5,
                autocommit=True,
            )
        except _pymysql.Error as error:
            raise _translated(error) from error

    @property
    def closed(self) -> bool:
        return not self._connection.open

    def cursor(self) -> Cursor:
        return Cursor(self._connection.cursor())

    def close(self) -> None:
        if self._connection.open:
            self._connection.close()


class Cursor:
    """Of a :class:`Connection`."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self._cursor.close()

    def execute(self, statement: str, values: object = None) -> None:
        try:
            self._cursor.execute(statement, values)
        except _pymysql.Error as error:
            raise _translated(error) from error

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> Any:
        return self._cursor.fetchall()


def _translated(error: Any) -> Exception:
    number, *words = error.args or (0,)
    text = f"Error {number}: {' '.join(map(str, words))}"
    kind = "IntegrityError" if isinstance(error, _pymysql.IntegrityError) else "OperationalError"
    translated: Exception = getattr(_psycopg2, kind)(text)
    return translated
