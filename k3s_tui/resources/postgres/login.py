"""One login to the datastore as K3s will do it, from a K3s server's own network position.

A port is forwarded through that server's SSH connection, so its name resolution, its routes and
its source address count, while libpq here judges the certificates.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from k3s_tui.core.address import endpoint, ip
from k3s_tui.core.contract import Hands
from k3s_tui.core.errors import Lost, OperatorError
from k3s_tui.core.scratch import scratch
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.forwarding import ForwardingFailed
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote
from k3s_tui.resources.postgres.diagnosis import (
    Kind,
    kind_of,
    kind_of_foreign_words,
    kind_of_served,
    kind_of_session,
    kind_of_way,
)
from k3s_tui.resources.postgres.ownership import ROWS
from k3s_tui.resources.postgres.psql import APPLICATION
from k3s_tui.resources.postgres.unbound import unbound

if TYPE_CHECKING:
    import psycopg
    from psycopg import AsyncConnection

    from k3s_tui.pki.authority import KeyPair

TIMEOUT = 10
"""Seconds for one connection, name resolution on the server included."""

_WHO = """
select s.version, s.client_dn, host(inet_client_addr())
from pg_stat_ssl s where s.pid = pg_backend_pid() and s.ssl
"""
# What kine does first, taken back.  Creating a table is the privilege that is most often missing.
_USE = "create table k3s_tui_proof (id bigserial primary key)"


@dataclass(frozen=True)
class Login:
    """Where and as whom.  `ca_pem` signs the datastore's certificate.

    `address` is where the datastore is while the server does not know its name yet, '' where the
    server has to; certificates are compared with the name either way.  `issue` makes a client
    certificate at the moment of the login, so that it may be short-lived; None logs in without one.
    `tls` off is for proving that plain TCP is refused.  `look` reads whose data is in the database.
    `own` has the host itself speak TLS, by the key that lies there and must not leave it.
    """

    hostname: str
    port: int
    database: str
    user: str
    password: Secret
    ca_pem: str
    issue: Callable[[], KeyPair] | None
    tls: bool = True
    look: bool = False
    own: OwnPair | None = None
    address: str = ""

    @property
    def peer(self) -> str:
        """What the server connects to."""
        return self.address or self.hostname

    @property
    def where(self) -> str:
        """The same in the operator's words."""
        place = endpoint(self.hostname, self.port)
        return f"{place} ({self.address})" if self.address else place


@dataclass(frozen=True)
class OwnPair:
    """Paths on the host."""

    ca: str
    certificate: str
    key: str

    def session(self, hostname: str, port: int) -> str:
        """An openssl command that has a TLS session with the datastore, as Go would check it."""
        where = quote(endpoint(hostname, port))
        return (
            f"openssl s_client -starttls postgres -connect {where} -CAfile {quote(self.ca)}"
            f" -cert {quote(self.certificate)} -key {quote(self.key)} -servername {quote(hostname)}"
            f" -verify_hostname {quote(hostname)} -verify_return_error"
        )

    def conversation(self, hostname: str, port: int) -> str:
        """sh for `Hands.through`: what is said to it is said to PostgreSQL, inside TLS.

        `-quiet` also has it take a leading Q, which begins PostgreSQL's queries, for what it is.
        """
        return f"echo ready\nexec {self.session(hostname, port)} -quiet 2>/dev/null"

    def complaint(self, hostname: str, port: int) -> str:
        """sh that says why there is no such session.

        Under TLS 1.3 a refused certificate is told after the handshake, so it waits for that.
        """
        return f"""
if ! getent hosts {quote(hostname)} >/dev/null; then echo unresolved; exit 0; fi
{{ sleep 1; }} | timeout {TIMEOUT} {self.session(hostname, port)} -brief 2>&1
:
"""


@dataclass(frozen=True)
class Outcome:
    """How a login went.  `said` is the other side's words, on one line.

    After a success `version` is the TLS version ('' over plain TCP), `client` the certificate's
    distinguished name, and `address` the source that PostgreSQL saw.  `rows` is what `ROWS` of
    `ownership` found, as JSON; '' where there is no such table, or nobody looked.  `sqlstate` is ''
    where the driver does not know it.
    """

    kind: Kind
    said: str = ""
    version: str = ""
    client: str = ""
    address: str = ""
    rows: str = ""
    sqlstate: str = ""

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, out: bytes) -> Outcome:
        return cls(**json.loads(out))


async def log_in(on: Hands, login: Login) -> Outcome:
    """Log in through `on`, create a table, take it back.  Raises Lost."""
    try:
        async with _way_in(on, login) as port:
            outcome = await _attempt(login, port)
            if outcome.kind == "untrusted":
                return _told(kind_of_served(await _served(port), login.ca_pem), outcome)
    except Lost:
        raise
    except ForwardingFailed as failed:
        outcome = Outcome("closed", _line(failed.text))
    except OperatorError as refused:
        return Outcome("forwarding", _line(refused.text))
    if outcome.kind in ("closed", "timeout") and login.own:
        said = await on.sh(login.own.complaint(login.hostname, login.port))
        return _told(kind_of_session(said), outcome)
    if outcome.kind in ("closed", "timeout"):
        # The tunnel closes the same way whatever the server could not do: ask the server itself.
        return _told(kind_of_way(await on.sh(way(login, "postgres"))), outcome)
    return outcome


@asynccontextmanager
async def _way_in(on: Hands, login: Login) -> AsyncIterator[int]:
    if login.own is None:
        async with on.forward(login.peer, login.port) as port:
            yield port
        return
    session = login.own.conversation(login.hostname, login.port)
    async with on.through(session) as there, unbound(there) as port:
        yield port


async def _attempt(login: Login, port: int) -> Outcome:
    import psycopg

    with _files(login) as files:
        try:
            async with await psycopg.AsyncConnection.connect(
                hostaddr="127.0.0.1",
                host=login.hostname,
                port=port,
                dbname=login.database,
                user=login.user,
                password=login.password.reveal(),
                sslmode="verify-full" if login.tls and not login.own else "disable",
                gssencmode="disable",
                target_session_attrs="any",
                connect_timeout=TIMEOUT,
                application_name=APPLICATION,
                options="",
                **files,
            ) as connection:
                who = await (await connection.execute(_WHO)).fetchone()
                rows = await _rows(connection) if login.look else ""
                await connection.execute(_USE)
                await connection.rollback()
        except psycopg.errors.ConnectionTimeout:
            return Outcome("timeout", f"no answer within {TIMEOUT} s")
        except psycopg.Error as error:
            said = str(error)
            return Outcome(_kind(said, error, login), _line(said), sqlstate=error.sqlstate or "")
    version, client, address = who or ("", "", "")
    return Outcome("ok", "", version, client or "", address, rows)


def _kind(said: str, error: psycopg.Error, login: Login) -> Kind:
    kind = kind_of(said, error.sqlstate)
    if kind != "other":
        return kind
    shown = login.own is not None or (login.tls and login.issue is not None)
    tls = login.tls or login.own is not None
    return kind_of_foreign_words(_line(said), login.user, tls=tls, certificate=shown)


async def _rows(connection: AsyncConnection[Any]) -> str:
    there = await (await connection.execute("select to_regclass('public.kine')::text")).fetchone()
    if there is None or there[0] is None:
        return ""
    # No parameters: the driver must take `%` as it is.
    found = await (await connection.execute(f"select ({ROWS})::text")).fetchone()
    return str(found[0]) if found else ""


@contextmanager
def _files(login: Login) -> Iterator[dict[str, Any]]:
    """libpq takes certificates as files only: ours live in a 0700 folder for one login.

    Each path is always given, else libpq would use what lies in ~/.postgresql.
    """
    with scratch() as folder:
        names = {"sslrootcert": "ca", "sslcert": "cert", "sslkey": "key", "sslcrl": "crl"}
        paths = {option: Path(folder, name) for option, name in names.items()}
        private(paths["sslrootcert"], login.ca_pem)
        if login.issue is not None and login.tls:
            pair = login.issue()
            private(paths["sslcert"], pair.certificate_pem)
            private(paths["sslkey"], pair.key.reveal())
        paths["passfile"] = Path(folder, "pgpass")
        yield {option: str(path) for option, path in paths.items()}


def private(path: Path, text: str) -> None:
    """Write a new file that is nobody else's to read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


async def _served(port: int) -> bytes:
    """The certificate (DER) that the server shows, trusted or not; b'' when it shows none.

    libpq says no more than that it did not verify.
    """
    ssl_request = struct.pack("!ii", 8, 80877103)
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(ssl_request)
                if await reader.readexactly(1) != b"S":
                    return b""
                await writer.start_tls(anything)
                tls: Any = writer.get_extra_info("ssl_object")
                return tls.getpeercert(binary_form=True) or b""
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError):
        return b""


def way(login: Login, protocol: Literal["postgres", "mysql"]) -> str:
    """sh that says how far the server gets on its own: `kind_of_way` reads it."""
    peer = quote(endpoint(login.peer, login.port))
    # An address has nothing to resolve: `getent` would look for its name.
    known = ":" if ip(login.peer) else f"getent hosts {quote(login.peer)} >/dev/null"
    return f"""
if ! {known}; then echo unresolved; exit 0; fi
timeout {TIMEOUT} openssl s_client -starttls {protocol} -connect {peer} </dev/null 2>&1
:
"""


def _told(kind: Kind | None, outcome: Outcome) -> Outcome:
    return Outcome(kind, outcome.said) if kind else outcome


def _line(text: str) -> str:
    """Words from outside on one harmless line, without libpq's preamble."""
    said = sanitize(" ".join(text.split()))
    return said.rpartition(" failed: ")[2][:300] if said.startswith("connection") else said[:300]
