from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.resources.postgres.access import Access, AccessState, Reserved, reserved
from k3s_tui.resources.postgres.psql import Psql
from tests.unit.hands import LocalHands
from tests.unit.postgres.server import Server
from tests.unit.postgres.test_settings import fresh_tls, wanted

BLOCK = """\
# BEGIN k3s-tui
hostssl k3s k3s 10.161.129.54/32 scram-sha-256 clientcert=verify-full
hostssl k3s k3s fd00::9a/128 scram-sha-256 clientcert=verify-full
host all k3s all reject
host k3s all all reject
# END k3s-tui
"""
DISTRIBUTION = "# PostgreSQL\nlocal all postgres peer\nhost all all 127.0.0.1/32 scram-sha-256\n"
ACCESS = Access(Psql(), "/pg_hba.conf", "k3s", "k3s", ("10.161.129.54", "fd00::9a"))


def state(text: str, **other: object) -> AccessState:
    found = AccessState("/pg_hba.conf", text.encode(), "0640", "postgres:postgres", loaded=True)
    return replace(found, **other)  # type: ignore[arg-type]


def test_the_block_is_one_line_per_server_and_two_that_reject_the_rest() -> None:
    assert ACCESS.block() == BLOCK
    twice = replace(ACCESS, servers=(*ACCESS.servers, "10.161.129.54"))
    assert twice.block() == BLOCK


def test_a_name_that_is_a_keyword_is_only_a_name() -> None:
    block = replace(ACCESS, database="all", role="replication").block()
    assert 'hostssl "all" "replication" 10.161.129.54/32' in block


@pytest.mark.parametrize("name", ["k3s", "all", 'a "b" c', "shop-2"])
def test_a_block_tells_whom_it_is_about(name: str) -> None:
    ours = replace(ACCESS, database=name, role=f"{name}_role")
    assert reserved(DISTRIBUTION + ours.block()) == Reserved(name, f"{name}_role")
    assert reserved(DISTRIBUTION) == Reserved("", "")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (state(BLOCK + DISTRIBUTION), None),
        (state(DISTRIBUTION), "let in 2 server(s) and nobody else"),
        (state(BLOCK + DISTRIBUTION, loaded=False), "it has not read"),
        # Drift: a line of ours, a line above ours, a second block.
        (state(BLOCK.replace("scram-sha-256", "trust") + DISTRIBUTION), "let in"),
        (state("host all all all trust\n" + BLOCK + DISTRIBUTION), "let in"),
        (state(BLOCK + DISTRIBUTION + BLOCK), "let in"),
        (state(BLOCK.replace("/32", "/99"), refused=(("/pg_hba.conf", 2, "mask"),)), "let in"),
        (AccessState(), "let in"),
    ],
)
def test_what_is_to_do(now: AccessState, words: str | None) -> None:
    change = ACCESS.diff(now)
    if words is None:
        assert change is None
    else:
        assert isinstance(change, Change)
        assert words in change.summary
        assert change.after is not None
        assert change.after.text.startswith(BLOCK.encode())
        assert change.after.text.count(b"BEGIN") == 1
        assert ACCESS.diff(change.after) is None


def test_the_diff_is_a_unified_one() -> None:
    change = ACCESS.diff(state(DISTRIBUTION))
    assert isinstance(change, Change)
    assert change.diff.startswith("--- /pg_hba.conf\n+++ /pg_hba.conf\n@@ -1,3 +1,9 @@\n+# BEGIN")
    assert " local all postgres peer\n" in change.diff


@pytest.mark.parametrize(
    "now",
    [
        state(BLOCK + "hosts all\n", refused=(("/pg_hba.conf", 7, "invalid connection type"),)),
        state(BLOCK, refused=(("/etc/others.conf", 2, "invalid"),)),
        state(BLOCK.replace("# END k3s-tui\n", "")),
        state("# END k3s-tui\n" + BLOCK),
    ],
)
def test_what_is_not_ours_to_mend_is_told(now: AccessState) -> None:
    problem = ACCESS.diff(now)
    assert isinstance(problem, Problem)
    assert problem.hint


def test_bytes_that_are_no_text_survive() -> None:
    odd = b"# caf\xe9\r\n" + DISTRIBUTION.encode()
    change = ACCESS.diff(replace(state(""), text=odd))
    assert isinstance(change, Change)
    assert change.after is not None
    assert change.after.text == BLOCK.encode() + odd
    change.diff.encode()


def access_to(server: Server, *addresses: str) -> Access:
    return Access(
        server.psql,
        str(server.hba_file),
        "k3s",
        "k3s",
        addresses or ("127.0.0.11",),
        stamp=str(server.folder / "loaded" / "access"),
    )


async def with_tls(hands: LocalHands, server: Server) -> None:
    await hands.settle(wanted(server, fresh_tls(server)))


async def test_the_block_goes_on_top_and_is_loaded(every_shell: LocalHands, server: Server) -> None:
    hands = every_shell
    await with_tls(hands, server)
    before, started = server.hba_file.read_bytes(), server.started()
    access = access_to(server)
    await hands.settle(access)
    assert server.hba_file.read_bytes() == access.block().encode() + before
    assert Path(f"{server.hba_file}.k3s-tui.orig").read_bytes() == before
    assert server.hba_file.owner() == "postgres"
    assert server.hba_file.stat().st_mode & 0o777 == 0o600
    assert server.started() == started
    assert sorted(path.name for path in server.data.glob("pg_hba*")) == [
        "pg_hba.conf",
        "pg_hba.conf.k3s-tui.orig",
    ]

    loaded = server.loaded()
    assert access.diff(await hands.look(access)) is None
    assert server.loaded() == loaded

    server.hba_file.write_bytes(server.hba_file.read_bytes().replace(b"reject", b"trust"))
    change = await hands.settle(access)
    assert "-host all k3s all trust" in change.diff
    await hands.settle(access_to(server, "127.0.0.11", "127.0.0.12"))
    assert Path(f"{server.hba_file}.k3s-tui.orig").read_bytes() == before


async def test_a_file_that_is_refused_is_as_before(every_shell: LocalHands, server: Server) -> None:
    """Without TLS, PostgreSQL refuses a hostssl line."""
    hands = every_shell
    before = server.hba_file.read_bytes()
    loaded = server.loaded()
    access = access_to(server)
    change = access.diff(await hands.look(access))
    assert isinstance(change, Change)
    with pytest.raises(StepFailed) as failed:
        await access.apply(hands, change)
    assert "SSL is disabled" in failed.value.tail
    assert server.hba_file.read_bytes() == before
    assert server.loaded() == loaded
    assert not Path(access.stamp).exists()


async def test_a_foreign_line_that_postgresql_refuses_is_told(
    hands: LocalHands, server: Server
) -> None:
    await with_tls(hands, server)
    access = access_to(server)
    await hands.settle(access)
    with server.hba_file.open("a") as file:
        # Valid up to version 13; `error` stays empty for it.
        file.write("hostssl all all 0.0.0.0/0 scram-sha-256 clientcert=1\n")
    problem = access.diff(await hands.look(access))
    assert isinstance(problem, Problem)
    assert f"{server.hba_file}:" in problem.text


async def test_a_run_cut_off_before_the_reload_is_finished_by_the_next(
    hands: LocalHands, server: Server
) -> None:
    await with_tls(hands, server)
    access = access_to(server)
    before = server.hba_file.read_bytes()
    server.hba_file.write_bytes(access.block().encode() + before)
    Path(f"{server.hba_file}.before").write_bytes(before)
    change = await hands.settle(access)
    assert change.summary.startswith("reload PostgreSQL")
    assert not Path(f"{server.hba_file}.before").exists()


async def test_rules_that_were_loaded_in_between_are_not_taken_for_ours(
    hands: LocalHands, server: Server
) -> None:
    """Somebody loads other rules and puts the file back without a reload: the stamp still fits."""
    await with_tls(hands, server)
    access = access_to(server)
    await hands.settle(access)
    text = server.hba_file.read_bytes()
    server.hba_file.write_bytes(b"host all all all trust\n" + text)
    server.sql("select pg_reload_conf()")
    server.hba_file.write_bytes(text)
    later = server.hba_file.stat().st_mtime + 2
    os.utime(server.hba_file, (later, later))
    change = await hands.settle(access)
    assert change.summary.startswith("reload PostgreSQL")


async def test_a_link_stays_a_link(hands: LocalHands, server: Server) -> None:
    await with_tls(hands, server)
    real = server.folder / "real_hba.conf"
    server.hba_file.rename(real)
    server.hba_file.symlink_to(real)
    access = access_to(server)
    await hands.settle(access)
    assert server.hba_file.is_symlink()
    assert real.read_text().startswith(access.block())


def test_addresses_are_addresses() -> None:
    with pytest.raises(ValueError, match="host"):
        replace(ACCESS, servers=("host all all all trust",)).block()
