"""Logins to a real PostgreSQL: the one that must work, and each one that must not."""

from __future__ import annotations

import asyncio
import socket
import stat
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from k3s_tui.core.contract import Problem
from k3s_tui.core.errors import Lost
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.forwarding import ForwardingRefused
from k3s_tui.pki.profiles import LeafProfile
from k3s_tui.resources.postgres import login as login_module
from k3s_tui.resources.postgres.diagnosis import Kind
from k3s_tui.resources.postgres.log import server_log_tail
from k3s_tui.resources.postgres.login import Login, Outcome
from k3s_tui.resources.postgres.proof import DsnProof, Refusal, RefusalKind
from k3s_tui.resources.postgres.psql import AS_POSTGRES
from tests.unit.postgres import certificates
from tests.unit.postgres.datastore import PASSWORD, Datastore, ServerHands
from tests.unit.postgres.server import free_port


async def test_the_right_login_works(datastore: Datastore, k3s_server: ServerHands) -> None:
    proof = DsnProof(datastore.login)
    outcome = await k3s_server.look(proof)
    assert proof.diff(outcome) is None
    assert outcome == Outcome("ok", "", "TLSv1.3", "/OU=k3s-server-1/CN=k3s", "127.0.0.11")
    tables = datastore.server.sql("select count(*) from pg_class where relname ~ 'k3s_tui'", "k3s")
    assert tables == "0"


Wrong = Callable[[Datastore], Login]


def _other(**change: object) -> Wrong:
    return lambda store: replace(store.login, **change)  # type: ignore[arg-type]


def _client(**options: object) -> Wrong:
    return lambda store: replace(
        store.login,
        issue=lambda: certificates.client_pair(store.ca, **options),  # type: ignore[arg-type]
    )


LONG_AGO = certificates.now() - certificates.LONG_AGO
SOON = certificates.now() + certificates.LONG_AGO

WRONG: list[tuple[Kind, str, Wrong]] = [
    ("unresolved", "does not resolve", _other(hostname="nowhere.test")),
    ("hostname", "not for the name", _other(hostname="localhost")),
    ("password", "does not accept the password", _other(password=Secret("wrong"))),
    ("client-cn", "CN is not the database user", _client(user="somebody")),
    ("client-expired", "has expired", _client(at=LONG_AGO)),
    ("client-certificate", "does not accept the client certificate", _client(at=SOON)),
    (
        "client-certificate",
        "does not accept the client certificate",
        lambda store: replace(store.login, issue=lambda: certificates.wrong_usage(store.ca)),
    ),
    ("no-certificate", "got no client certificate", _other(issue=None)),
    (
        "client-ca",
        "does not trust the CA",
        lambda store: replace(
            store.login, issue=lambda: certificates.client_pair(certificates.authority("other"))
        ),
    ),
    # The same name, another key: what a lost store would make.
    (
        "client-ca",
        "does not trust the CA",
        lambda store: replace(
            store.login, issue=lambda: certificates.client_pair(certificates.authority())
        ),
    ),
    (
        "untrusted-issuer",
        "comes from another CA",
        lambda store: replace(store.login, ca_pem=certificates.authority("other").certificate_pem),
    ),
    ("rules", "does not let k3s in", _other(database="postgres")),
    ("rules-plain", "without TLS", _other(tls=False)),
]


@pytest.mark.parametrize(("kind", "words", "wrong"), WRONG)
async def test_each_cause_is_named(
    datastore: Datastore, k3s_server: ServerHands, kind: Kind, words: str, wrong: Wrong
) -> None:
    k3s_server.tool("getent", "[ $2 != nowhere.test ]")
    proof = DsnProof(wrong(datastore))
    outcome = await k3s_server.look(proof)
    problem = proof.diff(outcome)
    assert isinstance(problem, Problem)
    assert (outcome.kind, problem.warning) == (kind, False)
    assert words in problem.text
    assert problem.hint
    assert datastore.login.password.reveal() not in repr(outcome)


async def test_a_server_that_no_line_names_is_rejected(
    datastore: Datastore, tmp_path: Path
) -> None:
    stranger = ServerHands(tmp_path / "stranger", "127.0.0.99")
    outcome = await stranger.look(DsnProof(datastore.login))
    assert outcome.kind == "rules"
    assert "127.0.0.99" in outcome.said


async def test_nobody_listens(datastore: Datastore, k3s_server: ServerHands) -> None:
    login = replace(datastore.login, hostname="localhost", port=free_port())
    outcome = await k3s_server.look(DsnProof(login))
    assert outcome.kind == "refused"


async def test_nobody_answers(
    datastore: Datastore, k3s_server: ServerHands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that takes the connection and says nothing, as behind a firewall that swallows."""
    monkeypatch.setattr(login_module, "TIMEOUT", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        login = replace(datastore.login, hostname="localhost", port=port)
        outcome = await k3s_server.look(DsnProof(login))
    assert outcome.kind == "timeout"


@contextmanager
def changed(datastore: Datastore, do: str, undo: str, database: str = "postgres") -> Iterator[None]:
    datastore.server.sql(do, database)
    try:
        yield
    finally:
        datastore.server.sql(undo, database)


@pytest.mark.parametrize(
    ("do", "undo", "kind", "words"),
    [
        (
            "alter database k3s owner to postgres; grant connect on database k3s to k3s",
            "alter database k3s owner to k3s",
            "privileges",
            "may not create tables",
        ),
        (
            "alter database k3s rename to aside",
            "alter database aside rename to k3s",
            "database",
            "no database k3s",
        ),
        (
            "alter role k3s connection limit 0",
            "alter role k3s connection limit -1",
            "busy",
            "no more connections",
        ),
        ("alter role k3s nologin", "alter role k3s login", "role", "may not log in"),
    ],
)
async def test_what_is_wrong_inside_is_named(
    datastore: Datastore, k3s_server: ServerHands, do: str, undo: str, kind: Kind, words: str
) -> None:
    proof = DsnProof(datastore.login)
    with changed(datastore, do, undo):
        outcome = await k3s_server.look(proof)
    problem = proof.diff(outcome)
    assert isinstance(problem, Problem)
    assert outcome.kind == kind
    assert words in problem.text


@pytest.mark.parametrize(
    ("at", "kind"), [(LONG_AGO, "untrusted-expired"), (SOON, "untrusted-early")]
)
async def test_the_servers_own_certificate_out_of_time(
    datastore: Datastore, k3s_server: ServerHands, at: object, kind: Kind
) -> None:
    store = datastore
    pair = certificates.server_pair(store.ca, at=at)  # type: ignore[arg-type]
    certificates.install(store.server.folder, store.ca, pair)
    await k3s_server.sh(login_reload(store))
    try:
        outcome = await k3s_server.look(DsnProof(store.login))
    finally:
        certificates.install(store.server.folder, store.ca, certificates.server_pair(store.ca))
        await k3s_server.sh(login_reload(store))
    assert outcome.kind == kind
    assert (await k3s_server.look(DsnProof(store.login))).kind == "ok"


async def test_a_name_that_the_server_does_not_know_yet(
    datastore: Datastore, k3s_server: ServerHands
) -> None:
    """It goes straight to the address; the certificate is still compared with the name."""
    k3s_server.names = {"127.0.0.1": "127.0.0.1"}
    k3s_server.tool("getent", "exit 2")
    there = replace(datastore.login, address="127.0.0.1")
    assert (await k3s_server.look(DsnProof(there))).kind == "ok"
    other = DsnProof(replace(there, hostname="other.test"))
    outcome = await k3s_server.look(other)
    problem = other.diff(outcome)
    assert outcome.kind == "hostname" and isinstance(problem, Problem)
    assert f"other.test:{there.port} (127.0.0.1) is not for the name other.test" in problem.text
    assert (await k3s_server.look(DsnProof(datastore.login))).kind == "unresolved"
    nobody = replace(there, port=free_port())
    assert (await k3s_server.look(DsnProof(nobody))).kind == "refused"


async def test_a_datastore_that_is_known_by_its_address(
    datastore: Datastore, k3s_server: ServerHands
) -> None:
    """As the SAN of its certificate, which need not name anything else."""
    store = datastore
    k3s_server.names = {"127.0.0.1": "127.0.0.1"}
    k3s_server.tool("getent", "exit 2")  # an address has no name
    login = replace(store.login, hostname="127.0.0.1")
    assert (await k3s_server.look(DsnProof(login))).kind == "hostname"
    nobody = replace(login, port=free_port())
    assert (await k3s_server.look(DsnProof(nobody))).kind == "refused"
    leaf = LeafProfile("server", "db", addresses=("127.0.0.1",))
    pair = store.ca.issue_short_lived(leaf, certificates.now())
    certificates.install(store.server.folder, store.ca, pair)
    await k3s_server.sh(login_reload(store))
    try:
        assert (await k3s_server.look(DsnProof(login))).kind == "ok"
    finally:
        certificates.install(store.server.folder, store.ca, certificates.server_pair(store.ca))
        await k3s_server.sh(login_reload(store))


def login_reload(store: Datastore) -> str:
    return AS_POSTGRES + store.server.psql.reload()


REFUSALS: list[tuple[RefusalKind, Wrong]] = [
    ("no-certificate", _other()),
    ("wrong-cn", _client(user="somebody")),
    (
        "other-ca",
        lambda store: replace(
            store.login, issue=lambda: certificates.client_pair(certificates.authority("other"))
        ),
    ),
    ("plain-tcp", _other()),
    ("wrong-password", _other()),
]


@pytest.mark.parametrize(("kind", "wrong"), REFUSALS)
async def test_each_refusal_is_refused_for_its_reason(
    datastore: Datastore, k3s_server: ServerHands, kind: RefusalKind, wrong: Wrong
) -> None:
    refusal = Refusal(kind, wrong(datastore))
    outcome = await k3s_server.look(refusal)
    assert refusal.diff(outcome) is None, outcome


async def open_to_all(datastore: Datastore, server: ServerHands, line: str) -> None:
    hba = datastore.server.hba_file
    hba.write_text(line + hba.read_text())
    await server.sh(login_reload(datastore))


@pytest.mark.parametrize(("kind", "wrong"), REFUSALS)
async def test_one_that_is_let_in_is_told(
    datastore: Datastore, k3s_server: ServerHands, kind: RefusalKind, wrong: Wrong
) -> None:
    """`other-ca` cannot get that far: TLS itself refuses it, whatever pg_hba.conf says."""
    refusal = Refusal(kind, wrong(datastore))
    await open_to_all(datastore, k3s_server, "host all all 0.0.0.0/0 trust\n")
    try:
        problem = refusal.diff(await k3s_server.look(refusal))
    finally:
        await k3s_server.settle(datastore.access)
        text = datastore.server.hba_file.read_text()
        datastore.server.hba_file.write_text(text.replace("host all all 0.0.0.0/0 trust\n", ""))
        await k3s_server.settle(datastore.access)
    if kind == "other-ca":
        assert problem is None
    else:
        assert isinstance(problem, Problem)
        assert "was let in" in problem.text


@pytest.mark.parametrize(("kind", "wrong"), REFUSALS)
async def test_a_wider_rule_below_our_block_lets_nobody_in(
    datastore: Datastore, tmp_path: Path, kind: RefusalKind, wrong: Wrong
) -> None:
    """Neither from a server nor from anywhere else."""
    server = ServerHands(tmp_path / "server")
    stranger = ServerHands(tmp_path / "stranger", "127.0.0.99")
    hba = datastore.server.hba_file
    before = hba.read_text()
    hba.write_text(before + "host all all 0.0.0.0/0 trust\n")
    await server.settle(datastore.access)
    refusal = Refusal(kind, wrong(datastore))
    try:
        assert refusal.diff(await server.look(refusal)) is None
        assert (await stranger.look(refusal)).kind in ("rules", "rules-plain", "client-ca")
        assert (await stranger.look(DsnProof(datastore.login))).kind == "rules"
    finally:
        hba.write_text(before)
        await server.settle(datastore.access)


@pytest.mark.parametrize(
    ("user", "database"), [("k3s", "postgres"), ("other", "k3s"), ("k3s", "k3s")]
)
async def test_neither_the_role_nor_the_database_has_a_way_around(
    datastore: Datastore, k3s_server: ServerHands, user: str, database: str
) -> None:
    """The role elsewhere, others here, both without TLS: a wider rule below would allow it."""
    hba = datastore.server.hba_file
    before = hba.read_text()
    hba.write_text(before + "host all all 0.0.0.0/0 trust\n")
    await k3s_server.settle(datastore.access)
    login = replace(datastore.login, user=user, database=database, tls=False)
    try:
        with changed(datastore, "create role other superuser login", "drop role other"):
            around = await k3s_server.look(DsnProof(login))
            # The wider rule does work, for everything that is not ours.
            allowed = replace(login, user="other", database="postgres")
            other = await k3s_server.look(DsnProof(allowed))
    finally:
        hba.write_text(before)
        await k3s_server.settle(datastore.access)
    assert around.kind == "rules-plain"
    assert other.kind == "ok"


async def test_unreachable_is_not_refused(datastore: Datastore, k3s_server: ServerHands) -> None:
    login = replace(datastore.login, hostname="localhost", port=free_port())
    for kind, _ in REFUSALS:
        refusal = Refusal(kind, login)
        problem = refusal.diff(await k3s_server.look(refusal))
        assert isinstance(problem, Problem)
        assert "not for that reason" in problem.text


async def test_nobody_in_between_is_told_the_password(
    datastore: Datastore, k3s_server: ServerHands
) -> None:
    """One that speaks no TLS and asks for it in clear text, as it could on the way."""
    heard = bytearray()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4), "big")
        start = await reader.readexactly(length - 4)
        if start == (80877103).to_bytes(4, "big"):  # SSLRequest
            writer.write(b"N")
        else:
            writer.write(b"R" + struct.pack("!ii", 8, 3))  # AuthenticationCleartextPassword
        while data := await reader.read(1 << 16):
            heard.extend(data)
        writer.close()

    server = await asyncio.start_server(ask, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        login = replace(datastore.login, hostname="localhost", port=port)
        checks: list[DsnProof | Refusal] = [DsnProof(login)]
        checks += [Refusal(kind, login) for kind, _ in REFUSALS]
        for check in checks:
            assert check.diff(await k3s_server.look(check)) is not None
    finally:
        server.close()
    assert heard.startswith(b"p")  # over plain TCP one was sent
    assert PASSWORD.reveal().encode() not in heard


class NoForwarding(ServerHands):
    error: Exception = ForwardingRefused("administratively prohibited")

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> AsyncIterator[int]:
        raise self.error
        yield port


async def test_a_host_that_forwards_nothing_is_a_warning(
    datastore: Datastore, tmp_path: Path
) -> None:
    host = NoForwarding(tmp_path / "tools")
    for check in (DsnProof(datastore.login), Refusal("plain-tcp", datastore.login)):
        problem = check.diff(await host.look(check))
        assert isinstance(problem, Problem)
        assert problem.warning
        assert "administratively prohibited" in problem.text


async def test_a_lost_connection_is_lost(datastore: Datastore, tmp_path: Path) -> None:
    host = NoForwarding(tmp_path / "tools")
    host.error = Lost("gone")
    with pytest.raises(Lost):
        await host.look(DsnProof(datastore.login))


async def test_the_key_lies_nowhere_afterwards(
    datastore: Datastore,
    k3s_server: ServerHands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[tuple[int, int]] = []
    private = login_module.private

    def spy(path: Path, text: str) -> None:
        private(path, text)
        modes = (path.parent.stat().st_mode, path.stat().st_mode)
        seen.append((stat.S_IMODE(modes[0]), stat.S_IMODE(modes[1])))

    monkeypatch.setattr(login_module, "private", spy)
    await k3s_server.look(DsnProof(datastore.login))
    assert seen == [(0o700, 0o600)] * 3
    assert not list(tmp_path.glob("k3s-tui-*"))


async def test_the_servers_log_tells_what_the_client_is_not_told(
    datastore: Datastore, k3s_server: ServerHands
) -> None:
    await k3s_server.look(Refusal("wrong-cn", _client(user="somebody")(datastore)))
    tail = AS_POSTGRES + server_log_tail(str(datastore.server.data), "postgresql")
    told = (await k3s_server.sh(tail)).decode()
    assert "(somebody) do not match" in told
    assert 0 < len(told.splitlines()) <= 12
