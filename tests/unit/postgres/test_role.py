from __future__ import annotations

import base64
from dataclasses import replace

import psycopg
import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.resources.postgres import scram
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql
from k3s_tui.resources.postgres.role import Role, RoleState
from tests.unit.hands import LocalHands
from tests.unit.postgres.server import Server

PASSWORD = Secret("q7Yk-p_w3Lr9")
FINE = RoleState(exists=True, login=True, messages=True, verifier=scram.verifier(PASSWORD))


def test_the_verifier_is_the_one_of_the_standard() -> None:
    """RFC 7677's example exchange, checked through its client proof and server signature."""
    import hashlib
    import hmac

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    stored_text = scram.verifier(Secret("pencil"), salt=salt, iterations=4096).reveal()
    stored, server_key = map(base64.b64decode, stored_text.rpartition("$")[2].split(":"))
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.digest(server_key, message, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    key = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(key).digest() == stored


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (RoleState(), "create role k3s"),
        (FINE, None),
        (RoleState(True, True, verifier=scram.verifier(Secret("other"))), "set its password"),
        (RoleState(True, True, verifier=Secret("md5" + "0" * 32)), "set its password"),
        (RoleState(True, True, verifier=Secret("")), "set its password"),
        (RoleState(True, False, verifier=FINE.verifier), "let it log in"),
        (replace(FINE, powers=("SUPERUSER",)), "take SUPERUSER"),
        (replace(FINE, limited=True), "expiry"),
        (replace(FINE, messages=False), "messages in English"),
    ],
)
def test_what_is_to_do(now: RoleState, words: str | None) -> None:
    change = Role(Psql(), "k3s", PASSWORD).diff(now)
    if words is None:
        assert change is None
    else:
        assert isinstance(change, Change)
        assert words in change.summary
        # Of a role that is there K3s may be at work with the password that it has now.
        assert ("lack the new password" in change.warning) == ("set its password" in words)
        assert PASSWORD.reveal() not in repr(change)


def test_the_superuser_of_the_cluster_is_not_touched() -> None:
    problem = Role(Psql(), "postgres", PASSWORD).diff(RoleState(True, True, system=True))
    assert isinstance(problem, Problem)


@pytest.mark.parametrize("password", ["", "pässword", "tab\there"])
def test_a_password_that_clients_read_differently_is_refused(password: str) -> None:
    assert isinstance(Role(Psql(), "k3s", Secret(password)).diff(FINE), Problem)


async def test_a_role_converges(every_shell: LocalHands, server: Server) -> None:
    server.sql("alter system set log_statement = 'all'")
    server.sql("select pg_reload_conf()")
    role = Role(server.psql, "k3s", PASSWORD)
    await every_shell.settle(role)

    server.sql("alter role k3s superuser createdb password 'drifted' valid until '2020-01-01'")
    change = await every_shell.settle(role)
    assert "SUPERUSER" in change.summary
    assert "password" in change.summary

    settings = server.sql("select rolconfig from pg_roles where rolname = 'k3s'")
    assert settings == "{lc_messages=C}"
    stored = server.sql("select rolpassword from pg_authid where rolname = 'k3s'")
    assert scram.matches(Secret(stored), PASSWORD)
    log = server.log.read_text()
    assert "create role" not in log.lower()
    assert stored not in log
    assert PASSWORD.reveal() not in log + "".join(every_shell.scripts)


async def test_the_password_is_the_one_that_lets_in(server: Server, hands: LocalHands) -> None:
    await hands.settle(Role(server.psql, "k3s", PASSWORD))
    where = f"host=127.0.0.1 port={server.port} user=k3s dbname=postgres connect_timeout=5"
    psycopg.connect(where, password=PASSWORD.reveal()).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(where, password="wrong")


async def test_a_role_of_an_awkward_name_is_only_a_name(hands: LocalHands, server: Server) -> None:
    name = 'it\'s "a" \\role; drop role postgres'
    await hands.settle(Role(server.psql, name, PASSWORD))
    assert name in server.sql("select rolname from pg_roles").splitlines()


async def test_without_a_server_there_is_no_role_yet(every_shell: LocalHands) -> None:
    role = Role(Psql(1, str(every_shell.tools)), "k3s", PASSWORD)
    now = await every_shell.look(role)
    assert now == RoleState()
    change = role.diff(now)
    assert isinstance(change, Change)
    with pytest.raises(StepFailed):
        await role.apply(every_shell, change)


async def test_where_there_is_no_runuser_su_does_it(
    every_shell: LocalHands, server: Server
) -> None:
    script = AS_POSTGRES.replace("command -v runuser", "command -v no-runuser")
    assert script != AS_POSTGRES
    told = await every_shell.sh(
        script + server.psql.run("select current_user, :'x';", x="a'b\\c\nd")
    )
    assert told.decode() == "postgres|a'b\\c\nd\n"
