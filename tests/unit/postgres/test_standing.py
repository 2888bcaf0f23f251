"""A PostgreSQL that is there already says what it is without us, or why it does not say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from k3s_tui.resources.postgres import standing
from k3s_tui.resources.postgres.access import Access, Reserved
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.settings import DROP_IN
from k3s_tui.resources.postgres.standing import Silent, Standing
from tests.unit.hands import LocalHands
from tests.unit.postgres import certificates
from tests.unit.postgres.server import Server

BLOCK = Access(Psql(), "", "k3s", "k3s", ("10.0.0.1",)).block()


async def looked(hands: LocalHands, psql: Psql, *folders: str) -> Standing | Silent | None:
    return standing.parse(await hands.sh(standing.look(psql, "k3s", "k3s", folders)))


async def found(hands: LocalHands, server: Server) -> Standing:
    there = await looked(hands, server.psql)
    assert isinstance(there, Standing), there
    return there


async def test_others_and_their_settings_without_ours(
    every_shell: LocalHands, server: Server
) -> None:
    server.sql("create role k3s")
    server.sql("create database wiki owner k3s")
    ours = server.data / DROP_IN
    ours.parent.mkdir(exist_ok=True)
    ours.write_text("password_encryption = 'scram-sha-256'\nssl_ca_file = '/ours'\n")
    theirs = certificates.authority().certificate_pem
    (server.data / "theirs.pem").write_text(theirs)
    with server.config_file.open("a") as conf:
        conf.write("ssl_ca_file = 'theirs.pem'\npassword_encryption = 'md5'\n")
        conf.write(f"include = '{DROP_IN}'\n")
    server.hba_file.write_text(BLOCK + server.hba_file.read_text())
    there = await found(every_shell, server)
    assert there.said == {"ssl_ca_file": "theirs.pem", "password_encryption": "md5"}
    assert there.ca_pem == theirs and there.path("ssl_ca_file") == f"{server.data}/theirs.pem"
    assert (there.databases, there.owns, there.owner) == (("wiki",), ("wiki",), "")
    assert there.config_file == str(server.config_file)
    assert there.hba_file == str(server.hba_file)
    assert there.ours == Reserved("k3s", "k3s")
    assert not there.serves_tls and not there.sessions and not there.socket


def names_ca(server: Server, text: bytes) -> None:
    (server.data / "theirs.pem").write_bytes(text)
    with server.config_file.open("a") as conf:
        conf.write("ssl = on\nssl_ca_file = 'theirs.pem'\n")


async def test_its_client_cas_are_there_to_the_last_byte_and_no_key(
    every_shell: LocalHands, server: Server
) -> None:
    ca = certificates.authority()
    text = b"# Gr\xf6\xdfe\r\n" + ca.certificate_pem.encode().rstrip(b"\n")
    names_ca(server, text)
    there = await found(every_shell, server)
    assert there.ca_pem.encode(errors="surrogateescape") == text and not there.ca_unread
    names_ca(server, ca.key.reveal().encode() + b"# theirs\n" + text + b"\n")
    there = await found(every_shell, server)
    assert there.ca_pem.encode(errors="surrogateescape") == b"# theirs\n" + text + b"\n"


async def test_client_cas_that_cannot_be_had_whole_are_told(
    every_shell: LocalHands, server: Server
) -> None:
    text = certificates.authority().certificate_pem.encode()
    names_ca(server, text + b"#" * 1_000_000)
    there = await found(every_shell, server)
    assert there.ca_pem == ""
    assert there.ca_unread.startswith(f"has {len(text) + 1_000_000} bytes")
    names_ca(server, text + text[:200])
    assert (await found(every_shell, server)).ca_unread == "is not accepted by OpenSSL"
    (server.data / "theirs.pem").unlink()
    assert (await found(every_shell, server)).ca_unread == "cannot be read"


async def test_nobody_runs_there(every_shell: LocalHands, server: Server) -> None:
    assert await looked(every_shell, replace(server.psql, port=1)) is None


@pytest.mark.parametrize(
    ("sql", "tenants"),
    [
        ("create table invoice (id serial)", ("public.invoice",)),
        ("create sequence numbers", ("public.numbers",)),
        ("create schema crm", ("schema crm",)),
        ("create view seen as select 1 as one", ("public.seen",)),
        ("create function f() returns int language sql as 'select 1'", ("public.f()",)),
        ("select lo_create(0)", ("large objects",)),
        ("create schema crm; create table crm.kine (id int)", ("crm.kine", "schema crm")),
        # Nobody's: kine's own, what an extension brought, and the role's own empty schema.
        ("create table kine (id bigserial primary key); create index on kine (id)", ()),
        ("create extension hstore", ()),
        ("create schema k3s authorization k3s", ()),
    ],
)
async def test_what_k3s_has_not_made_is_in_its_database(
    hands: LocalHands, server: Server, sql: str, tenants: tuple[str, ...]
) -> None:
    server.sql("create role k3s")
    server.sql("create database k3s")
    server.sql(sql, "k3s")
    assert (await found(hands, server)).tenants == tenants


@pytest.mark.parametrize(
    ("sql", "there"),
    [
        ("select 1", {}),
        ("grant all on database wiki to k3s", {"uses": ("wiki",)}),
        ("\\c wiki\ncreate table kine (); alter table kine owner to k3s", {"uses": ("wiki",)}),
        ("\\c wiki\ncreate table page (); grant select on page to k3s", {"uses": ("wiki",)}),
        ("grant create on tablespace pg_default to k3s", {"uses": ("",)}),
        ("grant pg_read_all_data to k3s", {"related": ("pg_read_all_data",)}),
        ("create role app; grant k3s to app", {"related": ("app",)}),
        ("alter role k3s superuser replication", {"powers": ("SUPERUSER", "REPLICATION")}),
        ("alter role k3s createdb", {}),
        ("alter database k3s owner to k3s", {"uses": ("k3s",), "owner": "k3s"}),
    ],
)
async def test_what_its_role_is_used_for(
    every_shell: LocalHands, server: Server, sql: str, there: dict[str, object]
) -> None:
    for statement in ("create role k3s", "create database k3s", "create database wiki"):
        server.sql(statement)
    first, _, rest = sql.partition("\n")
    server.sql(rest or first, "wiki" if rest else "postgres")
    seen = await found(every_shell, server)
    wanted = {"uses": (), "related": (), "powers": (), "owner": "postgres", **there}
    assert {name: getattr(seen, name) for name in wanted} == wanted


async def test_a_session_of_its_role_in_another_database(hands: LocalHands, server: Server) -> None:
    server.sql("create role k3s login password 'secret'")
    where = f"host=127.0.0.1 port={server.port} user=k3s password=secret dbname=postgres"
    with psycopg.connect(where):
        (session,) = (await found(hands, server)).sessions
    assert str(session) == "1 session of k3s from 127.0.0.1 in database postgres"


@pytest.fixture
def stopped(server: Server) -> Iterator[Server]:
    """One to be stopped, of whatever is in it by then; it runs again at the end."""
    yield server
    if not (server.data / "postmaster.pid").exists():
        server.start()


async def test_one_that_stands_still_and_is_empty_is_nobodys(
    every_shell: LocalHands, stopped: Server
) -> None:
    stopped.stop()
    assert await looked(every_shell, stopped.psql, f"{stopped.folder}/*") is None


@pytest.mark.parametrize("what", ["a database", "a certificate", "ours alone", "ours and another"])
async def test_what_others_left_in_one_that_stands_still(
    every_shell: LocalHands, stopped: Server, what: str
) -> None:
    ours = stopped.data / DROP_IN
    ours.parent.mkdir(exist_ok=True)
    if what != "a certificate":
        stopped.sql("create database wiki")
    if what.startswith("ours"):
        ours.write_text("ssl_cert_file = '/ours'\n")
        stopped.hba_file.write_text(BLOCK + stopped.hba_file.read_text())
    if what == "ours and another":
        stopped.sql("create database more")
    if what == "a certificate":  # theirs: our file says nothing of one
        ours.write_text("ssl_ca_file = '/ours'\n")
    stopped.stop()
    there = await looked(every_shell, stopped.psql, f"{stopped.folder}/*")
    assert there == (None if what == "ours alone" else Silent("stopped", str(stopped.data)))


async def test_one_that_goes_on_starting_is_told(hands: LocalHands) -> None:
    hands.tool("pg_isready", "exit 1")
    hands.tool("sleep", "exit 0")
    assert await looked(hands, Psql()) == Silent("starting")


async def test_a_socket_that_is_elsewhere_is_found(every_shell: LocalHands, server: Server) -> None:
    there = await looked(every_shell, Psql(server.port))
    assert isinstance(there, Standing)
    assert there.socket == str(server.folder)
    assert there.data_directory == str(server.data)


async def test_without_a_socket_it_is_not_taken_for_nobody(
    hands: LocalHands, server: Server
) -> None:
    with server.config_file.open("a") as conf:
        conf.write("unix_socket_directories = ''\n")
    server.stop()
    server.start()
    assert await looked(hands, Psql(server.port)) == Silent("unreachable", str(server.data))
