from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from k3s_tui.core.contract import Problem
from k3s_tui.resources.postgres.login import _files
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql
from k3s_tui.resources.postgres.sessions import Session, Sessions, SessionsState
from tests.unit.hands import LocalHands
from tests.unit.postgres.datastore import SERVERS, Datastore, ServerHands


def session(address: str, *, tls: bool = True) -> Session:
    return Session("k3s", address, tls, "TLSv1.3" if tls else "", "/CN=k3s" if tls else "")


ONE, TWO = map(session, SERVERS)


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        ((ONE, TWO), None),
        ((ONE, ONE, TWO), None),
        ((ONE,), "no session of 127.0.0.12"),
        ((), "no session of 127.0.0.11, 127.0.0.12"),
        ((ONE, TWO, session("127.0.0.11", tls=False)), "without TLS"),
        ((ONE, TWO, session("127.0.0.99")), "no K3s server"),
        (None, "did not say"),
    ],
)
def test_who_may_be_there(sessions: tuple[Session, ...] | None, words: str | None) -> None:
    problem = Sessions(Psql(), "k3s", SERVERS).diff(SessionsState(sessions))
    if words is None:
        assert problem is None
    else:
        assert isinstance(problem, Problem)
        assert words in problem.text


@asynccontextmanager
async def connected(
    datastore: Datastore, server: ServerHands, *, tls: bool = True
) -> AsyncIterator[None]:
    """A session as K3s keeps it."""
    login = replace(datastore.login, tls=tls)
    async with server.forward(login.hostname, login.port) as port:
        with _files(login) as files:
            connection = await psycopg.AsyncConnection.connect(
                hostaddr="127.0.0.1",
                host=login.hostname,
                port=port,
                user="k3s",
                dbname="k3s",
                password=login.password.reveal(),
                sslmode="verify-full" if tls else "disable",
                **files,
            )
        async with connection:
            yield


async def test_sessions_of_the_servers(
    datastore: Datastore, every_shell: LocalHands, tmp_path: Path
) -> None:
    sessions = Sessions(datastore.server.psql, "k3s", SERVERS)
    async with AsyncExitStack() as stack:
        for number, address in enumerate(SERVERS):
            problem = sessions.diff(await every_shell.look(sessions))
            assert isinstance(problem, Problem)
            assert address in problem.text
            host = ServerHands(tmp_path / f"server{number}", address)
            await stack.enter_async_context(connected(datastore, host))
        # A backup over the Unix socket is nobody's concern.
        look = AS_POSTGRES + datastore.server.psql.run("select 1;", database="k3s")
        await every_shell.sh(look)
        found = await every_shell.look(sessions)
        assert sessions.diff(found) is None
        assert found.sessions is not None
        client = "/OU=k3s-server-1/CN=k3s"
        assert set(found.sessions) == {
            Session("k3s", address, True, "TLSv1.3", client) for address in SERVERS
        }


async def test_a_session_without_tls_is_seen(datastore: Datastore, k3s_server: ServerHands) -> None:
    sessions = Sessions(datastore.server.psql, "k3s", SERVERS)
    hba = datastore.server.hba_file
    before = hba.read_text()
    hba.write_text("host all all 0.0.0.0/0 scram-sha-256\n" + before)
    reload = AS_POSTGRES + datastore.server.psql.reload()
    await k3s_server.sh(reload)
    try:
        async with connected(datastore, k3s_server, tls=False):
            problem = sessions.diff(await k3s_server.look(sessions))
    finally:
        hba.write_text(before)
        await k3s_server.sh(reload)
    assert isinstance(problem, Problem)
    assert "without TLS" in problem.text


async def test_no_answer_is_no_proof(hands: LocalHands) -> None:
    nobody = Sessions(Psql(1, str(hands.tools)), "k3s", SERVERS)
    assert await hands.look(nobody) == SessionsState(None)
