"""What a PostgreSQL that is there must not be used for, and what of it stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from k3s_tui.hosts.local import local_transport
from k3s_tui.pki.adopt import Kept, Unfit
from k3s_tui.procedure import adoption
from k3s_tui.procedure.adoption import Adoption
from k3s_tui.procedure.leaves import TLS
from k3s_tui.resources.postgres import standing
from k3s_tui.resources.postgres.access import Reserved
from k3s_tui.resources.postgres.psql import field
from k3s_tui.resources.postgres.settings import SNAKEOIL
from k3s_tui.resources.postgres.standing import ForeignSession, Standing
from tests.unit.procedure.sites import HOW_TO, changed

DEBIAN = Standing("/var/lib/postgresql/15/main", said={"ssl": "on", "ssl_cert_file": SNAKEOIL})
SESSION = ForeignSession("wiki", "shop", "10.0.0.9", 2)
THEIR_K3S = ForeignSession("kubernetes", "k3s", "10.0.0.9", 2)


def said(**settings: str) -> Standing:
    return replace(DEBIAN, said={**DEBIAN.said, **settings})


@pytest.mark.parametrize(
    ("found", "text", "fix"),
    [
        (Adoption(said(ssl_crl_file="list.crl")), "ssl_crl_file = list.crl", 'cluster = "own"'),
        (
            Adoption(replace(said(ssl_ca_file="c.pem"), ca_unread="cannot be read")),
            "/var/lib/postgresql/15/main/c.pem, by which it knows its clients (ssl_ca_file)",
            'cluster = "own"',
        ),
        (Adoption(replace(DEBIAN, owns=("ledger",))), "owns ledger", "datastore.user"),
        (Adoption(replace(DEBIAN, owner="app")), "belongs to app", "datastore.database"),
        (Adoption(replace(DEBIAN, uses=("ledger",))), "in database ledger", "datastore.user"),
        (Adoption(replace(DEBIAN, uses=("",))), "in the whole cluster", "datastore.user"),
        (Adoption(replace(DEBIAN, related=("app",))), "has members: app", "datastore.user"),
        (Adoption(replace(DEBIAN, powers=("SUPERUSER",))), "SUPERUSER", "datastore.user"),
        (Adoption(replace(DEBIAN, sessions=(THEIR_K3S,))), "2 sessions of k3s", "datastore.user"),
        (
            Adoption(replace(DEBIAN, owner="postgres", tenants=("public.invoice",))),
            "holds what K3s has not made: public.invoice",
            "datastore.database",
        ),
        (Adoption(DEBIAN, Unfit("ca-unknown", "was signed by CN=x")), "CN=x", "ca = "),
        (Adoption(DEBIAN, Unfit("self-signed", "is signed by itself")), "by itself", "renew"),
    ],
)
def test_what_stops(found: Adoption, text: str, fix: str) -> None:
    problem = adoption.objection(HOW_TO, found, "")
    assert problem is not None and not problem.warning
    assert text in problem.text and fix in problem.hint


@pytest.mark.parametrize("owner", ["", "k3s", "postgres"])
def test_a_debian_as_it_comes_is_no_obstacle(owner: str) -> None:
    found = replace(DEBIAN, owner=owner, databases=("wiki",))
    assert adoption.objection(HOW_TO, Adoption(found), "") is None
    assert adoption.judged(HOW_TO, found, "", datetime.now(UTC)).certificate is None


def test_a_second_cluster_is_offered_where_there_can_be_one() -> None:
    found = Adoption(replace(DEBIAN, owner="app", sessions=(SESSION,)))
    for problem in (
        adoption.objection(HOW_TO, found, "", second=False),
        adoption.restart(found, ("10.0.0.1",), False, second=False),
    ):
        assert problem is not None and "name another host" in problem.hint
        assert 'cluster = "own"' not in problem.hint


def test_once_our_block_stands_its_names_are_ours() -> None:
    """Whatever an administrator did with them later."""
    drifted = replace(
        DEBIAN, owner="postgres", tenants=("public.page",), uses=("wiki",), related=("app",)
    )
    assert adoption.objection(HOW_TO, Adoption(drifted), "") is not None
    ours = replace(drifted, ours=Reserved("k3s", "k3s"))
    assert adoption.objection(HOW_TO, Adoption(ours), "") is None


def test_one_postgresql_serves_one_cluster_of_ours() -> None:
    """A second one's rules and certificates would replace those of the first."""
    other = replace(DEBIAN, databases=("first", "wiki"), ours=Reserved("first", "first"))
    problem = adoption.objection(HOW_TO, Adoption(other), "")
    assert problem is not None
    assert problem.text == "k3s-tui keeps its database first for another cluster"
    assert "drop the database first" in problem.hint and 'cluster = "own"' in problem.hint
    gone = replace(other, databases=("wiki",))
    assert adoption.objection(HOW_TO, Adoption(gone), "") is None


def test_an_earlier_run_of_ours_is_nobody_else() -> None:
    """What of it cannot be changed any more, its servers say."""
    ours = Reserved("k3s", "k3s")
    renamed = changed(datastore={"database": "another"})
    found = replace(DEBIAN, owns=("k3s",), ours=ours)
    assert adoption.objection(renamed, Adoption(found), "") is None
    stranger = adoption.objection(renamed, Adoption(replace(found, owns=("k3s", "ledger"))), "")
    assert stranger is not None and "owns ledger:" in stranger.text
    another = changed(datastore={"user": "another"})
    found = replace(DEBIAN, owner="k3s", ours=ours)
    assert adoption.objection(another, Adoption(found), "") is None


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("exec sleep 60", "did not say within"),
        (r"printf 'psql: no\033[2J such role\n' >&2; exit 1", r"no\x1b[2J such role"),
        ("echo answer=x", "not understood"),
        (field("answer", "echo '[]'"), "not understood"),
        (field("answer", """echo '{"listening": 1}'"""), "not understood"),
        (field("silent", "echo starting"), "is starting up"),
        (field("silent", "echo new"), "not understood"),
        (f"{field('silent', 'echo stopped')}; {field('where', 'printf /data')}", "others in /data"),
        (f"{field('silent', 'echo unreachable')}; {field('where', 'printf /d')}", "runs in /d"),
    ],
)
async def test_one_that_does_not_answer_is_told(
    script: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_SECONDS", 0.5)
    monkeypatch.setattr(standing, "look", lambda *_: script)
    found = await adoption.look_at(local_transport(), HOW_TO, "")
    problem = adoption.objection(HOW_TO, found, "")
    assert problem is not None and text in problem.text


def test_a_ca_for_no_certificate_is_told() -> None:
    for found in (None, Adoption(DEBIAN)):
        problem = adoption.objection(HOW_TO, found, "a CA")
        assert problem is not None and "datastore.ca is given" in problem.text


def test_a_port_of_another_cluster() -> None:
    own = changed(datastore={"cluster": "own", "given_port": 5433})
    problem = adoption.objection(own, Adoption(DEBIAN), "")
    assert problem is not None and "/var/lib/postgresql/15/main" in problem.text
    ours = replace(DEBIAN, data_directory="/var/lib/postgresql/15/k3s")
    assert adoption.objection(own, Adoption(ours), "") is None


@pytest.mark.parametrize(
    ("listening", "sessions", "allowed", "verdict"),
    [
        ("*", (SESSION,), False, "none"),
        ("localhost, 10.0.0.1", (SESSION,), False, "none"),
        ("localhost", (), False, "none"),
        ("localhost", (SESSION,), False, "stop"),
        ("localhost", (SESSION,), True, "warning"),
    ],
)
def test_a_restart_under_sessions(
    listening: str, sessions: tuple[ForeignSession, ...], allowed: bool, verdict: str
) -> None:
    found = Adoption(replace(DEBIAN, listening=listening, sessions=sessions))
    problem = adoption.restart(found, ("10.0.0.1",), allowed)
    if problem is None:
        assert verdict == "none"
        return
    assert verdict == ("warning" if problem.warning else "stop")
    assert "2 sessions of shop from 10.0.0.9 in database wiki" in problem.text
    assert allowed or "--allow-restart" in problem.hint


@pytest.mark.parametrize("allowed", [False, True])
def test_a_restart_is_told_where_nobody_is_connected_just_now(allowed: bool) -> None:
    found = Adoption(replace(DEBIAN, databases=("shop", "wiki")))
    problem = adoption.restart(found, ("10.0.0.1",), allowed)
    assert problem is not None and problem.warning
    assert "has to restart, to listen on 10.0.0.1; it serves shop, wiki" in problem.text
    assert ("--allow-restart" in problem.hint) != allowed
    assert (
        adoption.restart(
            replace(found, standing=replace(found.standing, listening="*")), ("10.0.0.1",), allowed
        )
        is None
    )


def test_without_tls_no_client_is_known_by_its_ca() -> None:
    found = replace(DEBIAN, said={"ssl": "off", "ssl_ca_file": "gone"}, ca_unread="cannot be read")
    assert adoption.objection(HOW_TO, Adoption(found), "") is None
    assert Adoption(found).client_cas("ours") == "ours"


def test_what_others_decided_stays() -> None:
    theirs = said(ssl_cert_file="site.crt", ssl_key_file="/etc/site.key", password_encryption="md5")
    kept = Adoption(theirs, Kept("CA"))
    assert kept.left == {"ssl_cert_file", "ssl_key_file", "password_encryption"}
    tls = kept.tls(TLS)
    assert (tls.certificate, tls.key, tls.ca) == (
        "/var/lib/postgresql/15/main/site.crt",
        "/etc/site.key",
        TLS.ca,
    )
    shared = Adoption(replace(DEBIAN, databases=("wiki",)))
    assert shared.left == {"password_encryption", "lc_messages"}
    assert Adoption(DEBIAN).left == frozenset() and Adoption(DEBIAN).tls(TLS) == TLS
