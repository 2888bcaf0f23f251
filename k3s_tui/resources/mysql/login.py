"""One login to a MySQL or MariaDB as K3s will do it, from a K3s server's own network position."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k3s_tui.core.contract import Hands
from k3s_tui.core.errors import Lost, OperatorError
from k3s_tui.core.scratch import scratch
from k3s_tui.hosts.forwarding import ForwardingFailed
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.resources.mysql.diagnosis import kind_of
from k3s_tui.resources.postgres.diagnosis import Kind, kind_of_way
from k3s_tui.resources.postgres.login import TIMEOUT, Login, Outcome, private, way

if TYPE_CHECKING:
    from pymysql.connections import Connection

# What kine does there.  Nothing is made to try it: here the making of a table is no transaction
# that could be taken back.
_NEEDED = {"CREATE", "INDEX", "SELECT", "INSERT", "UPDATE", "DELETE"}
_GRANTED = """
select privilege_type from information_schema.user_privileges where grantee = %(me)s
union select privilege_type from information_schema.schema_privileges
where grantee = %(me)s and database() like table_schema
"""
_TABLE = """
select 1 from information_schema.tables where table_schema = database() and table_name = 'kine'
"""
# As `ROWS` of PostgreSQL: the newest row of a name counts.
_ROWS = """
select k.name, coalesce(length(k.value), 0) from kine k
join (select max(id) as id from kine where name like %s group by name) newest on newest.id = k.id
where k.deleted = 0 and k.name <> '/registry/health' order by k.name limit 20
"""


async def log_in(on: Hands, login: Login) -> Outcome:
    """Log in through `on`, and only look.  Raises Lost.

    Plain TCP is not tried: its authentication can be made to tell the password to whoever sits in
    between.  Over TLS the database is asked whether it demands that; the outcome is what it would
    have been.
    """
    try:
        async with on.forward(login.peer, login.port) as port:
            outcome = await asyncio.to_thread(_attempt, login, port)
    except Lost:
        raise
    except ForwardingFailed as failed:
        outcome = Outcome("closed", _line(failed.text))
    except OperatorError as refused:
        return Outcome("forwarding", _line(refused.text))
    if outcome.kind in ("closed", "timeout"):
        # The tunnel closes the same way whatever the server could not do: ask the server itself.
        kind = kind_of_way(await on.sh(way(login, "mysql")))
        return Outcome(kind, outcome.said) if kind else outcome
    return outcome


def _attempt(login: Login, port: int) -> Outcome:
    import pymysql

    try:
        with closing(_connected(login, port)) as connection, connection.cursor() as cursor:
            cursor.execute("select user(), current_user()")
            ((user, account),) = cursor.fetchall()
            if not login.tls:
                return Outcome("rules-plain" if _demands_tls(cursor) else "ok")
            cursor.execute("show session status like 'Ssl_version'")
            versions = cursor.fetchall()
            name, _, host = account.rpartition("@")
            cursor.execute(_GRANTED, {"me": f"'{name}'@'{host}'"})
            missing = _NEEDED - {privilege for (privilege,) in cursor.fetchall()}
            rows = _rows(cursor) if login.look else ""
    except pymysql.MySQLError as error:
        return _failed(error)
    except TimeoutError:
        return Outcome("timeout", f"no answer within {TIMEOUT} s")
    except OSError as error:
        return Outcome(kind_of(0, str(error)), _line(str(error)))
    kind: Kind = "privileges" if missing else "ok"
    return Outcome(
        kind,
        ", ".join(sorted(missing)),
        str(versions[0][1]) if versions else "",
        address=user.rpartition("@")[2],
        rows=rows,
    )


def _connected(login: Login, port: int) -> Connection[Any]:
    import pymysql

    connection = pymysql.Connection(
        host=login.hostname,  # what the certificate is compared with
        user=login.user,
        password=login.password.reveal(),
        database=login.database,
        ssl=_context(login),
        read_timeout=TIMEOUT,
        write_timeout=TIMEOUT,
        charset="utf8mb4",
        program_name="k3s-tui",
        defer_connect=True,
    )
    connection.connect(socket.create_connection(("127.0.0.1", port), TIMEOUT))
    return connection


def _context(login: Login) -> ssl.SSLContext:
    """As strict as Go's: names are compared with the certificate's SANs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=login.ca_pem)
    if login.issue is not None:
        pair = login.issue()
        with scratch() as folder:  # it reads them at once, and from files only
            certificate, key = Path(folder, "cert"), Path(folder, "key")
            private(certificate, pair.certificate_pem)
            private(key, pair.key.reveal())
            context.load_cert_chain(certificate, key)
    return context


def _demands_tls(cursor: Any) -> bool:
    cursor.execute("select @@require_secure_transport")
    ((everywhere,),) = cursor.fetchall()
    cursor.execute("show create user current_user()")
    ((created,),) = cursor.fetchall()
    return bool(everywhere) or re.search(r"\bREQUIRE (?!NONE)", created) is not None


def _rows(cursor: Any) -> str:
    """As `ROWS` of PostgreSQL gives it; '' where there is no such table."""
    cursor.execute(_TABLE)
    if not cursor.fetchall():
        return ""
    cursor.execute(_ROWS, ("/bootstrap/%",))
    bootstrap = {_text(name): size for name, size in cursor.fetchall()}
    cursor.execute(_ROWS, ("/registry/%",))
    return json.dumps({"bootstrap": bootstrap, "registry": bool(cursor.fetchall())})


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _failed(error: Exception) -> Outcome:
    number, *words = error.args or (0,)
    said = " ".join(str(word) for word in words) or type(error).__name__
    state = str(getattr(error, "sqlstate", None) or "")
    return Outcome(kind_of(int(number), said), _line(said), sqlstate=state)


def _line(text: str) -> str:
    """Words from outside on one harmless line, without the driver's preamble."""
    said = sanitize(" ".join(text.split()))
    inner = re.fullmatch(r"Can't connect to MySQL server on '[^']*' \((.*)\)", said)
    return (inner[1] if inner else said)[:300]
