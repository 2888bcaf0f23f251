from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.resources.postgres.cluster import Cluster, ClusterState, SupportedVersion
from k3s_tui.resources.postgres.psql import Psql
from tests.unit.hands import LocalHands
from tests.unit.postgres.server import Server, quote_as_postgres

UNIT = "postgresql@15-main.service"
FINE = ClusterState(running=True, version=150018, enabled=True, active=True, on_disk="15")
WITH_INITDB = Cluster(Psql(), initdb="initdb")


@pytest.mark.parametrize(
    ("cluster", "now", "words"),
    [
        (Cluster(Psql()), FINE, None),
        (Cluster(Psql()), replace(FINE, enabled=False), "start PostgreSQL at boot"),
        (
            Cluster(Psql()),
            ClusterState(on_disk="15"),
            "start PostgreSQL at boot, start PostgreSQL",
        ),
        (
            WITH_INITDB,
            ClusterState(),
            "make a PostgreSQL cluster, start PostgreSQL at boot, start PostgreSQL",
        ),
        (WITH_INITDB, replace(FINE, running=False, version=0, active=False), "start PostgreSQL"),
    ],
)
def test_what_is_to_do(cluster: Cluster, now: ClusterState, words: str | None) -> None:
    change = cluster.diff(now)
    assert words == (change.summary if isinstance(change, Change) else change)


@pytest.mark.parametrize(
    ("now", "refused"),
    [
        (ClusterState(), False),
        (ClusterState(running=True, version=120022), True),
        (ClusterState(on_disk="11"), True),
        (ClusterState(on_disk="9.6"), True),
        (ClusterState(on_disk="13"), False),
        (ClusterState(running=True, version=130000, on_disk="12"), False),
        (ClusterState(running=True, version=180001), False),
    ],
)
def test_a_version_that_is_too_old_is_refused(now: ClusterState, refused: bool) -> None:
    for check in (Cluster(Psql()), SupportedVersion(Cluster(Psql()))):
        assert isinstance(check.diff(now), Problem) == refused


def test_a_standby_is_refused() -> None:
    problem = Cluster(Psql()).diff(replace(FINE, standby=True))
    assert isinstance(problem, Problem)
    assert "standby" in problem.text


async def test_a_bare_host_has_none(every_shell: LocalHands) -> None:
    for name in ("psql", "pg_isready", "systemctl"):
        every_shell.tool(name, "exit 127")
    now = await every_shell.look(
        Cluster(Psql(), unit="", data_folders=(f"{every_shell.tools}/*/none",))
    )
    assert now == ClusterState()


@pytest.mark.parametrize(
    ("instance", "umbrella", "enabled"),
    [
        ("enabled", "disabled", True),
        ("enabled-runtime", "enabled", True),
        ("enabled-runtime", "disabled", False),
        ("disabled", "enabled", False),
    ],
)
async def test_debian_starts_a_cluster_through_its_umbrella(
    every_shell: LocalHands, instance: str, umbrella: str, enabled: bool
) -> None:
    every_shell.tool(
        "systemctl",
        f"case $* in 'is-enabled {UNIT}') echo {instance} ;; "
        f"'is-enabled postgresql') echo {umbrella} ;; *) exit 1 ;; esac",
    )
    now = await every_shell.look(Cluster(Psql(1, "/nowhere"), unit=f"echo {UNIT}"))
    assert (now.unit, now.enabled) == (UNIT, enabled)


async def test_a_running_cluster_says_where_it_is(every_shell: LocalHands, server: Server) -> None:
    every_shell.tool("systemctl", "case $1 in is-enabled) echo enabled ;; *) echo active ;; esac")
    cluster = Cluster(server.psql, data_folders=(f"{server.folder}/*",))
    now = await every_shell.look(cluster)
    assert cluster.diff(now) is None
    assert now == ClusterState(
        running=True,
        version=int(server.sql("show server_version_num")),
        config_file=str(server.config_file),
        hba_file=str(server.hba_file),
        ident_file=f"{server.data}/pg_ident.conf",
        data_directory=str(server.data),
        listen_addresses="localhost",
        port=server.port,
        unit=now.unit,
        enabled=True,
        active=True,
        on_disk=str(now.major),
    )


def unit_of(every_shell: LocalHands, server: Server) -> None:
    """A systemctl that starts the test's cluster and remembers what was asked of it."""
    every_shell.tool(
        "systemctl",
        f"""
state={every_shell.tools}/state
echo "$*" >>{every_shell.tools}/asked
case $1 in
    is-enabled) if [ -e $state.enabled ]; then echo enabled; else echo disabled; fi ;;
    is-active) if [ -e $state.active ]; then echo active; else echo inactive; fi ;;
    enable) touch $state.enabled ;;
    start) if [ ! -e $state.active ]; then touch $state.active; {server.restart}; fi ;;
esac
""",
    )


async def test_a_stopped_cluster_is_started_and_enabled(
    every_shell: LocalHands, server: Server
) -> None:
    server.stop()
    unit_of(every_shell, server)
    before = (server.data / "PG_VERSION").stat().st_mtime_ns
    cluster = Cluster(
        server.psql, initdb="exit 1", data_folders=(f"{server.folder}/*",), unit=f"echo {UNIT}"
    )
    change = await every_shell.settle(cluster)
    assert change.summary == "start PostgreSQL at boot, start PostgreSQL"
    assert f"enable {UNIT}" in (every_shell.tools / "asked").read_text()
    assert (server.data / "PG_VERSION").stat().st_mtime_ns == before


async def test_a_missing_cluster_is_made(hands: LocalHands, server: Server, template: Path) -> None:
    server.stop()
    server.data.rename(server.folder / "aside")
    unit_of(hands, server)
    (hands.tools / "state.enabled").touch()
    copy = quote_as_postgres("cp", "-a", str(server.folder / "aside"), str(server.data))
    cluster = Cluster(server.psql, initdb=copy, data_folders=(str(server.data),))
    change = await hands.settle(cluster)
    assert change.summary == "make a PostgreSQL cluster, start PostgreSQL"


async def test_one_that_does_not_start_says_why(
    every_shell: LocalHands, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_shell.tool("systemctl", ":")
    every_shell.tool("pg_isready", "exit 2")
    every_shell.tool("sleep", ":")
    every_shell.tool("journalctl", "echo 'FATAL: could not create any TCP/IP sockets'")
    with pytest.raises(StepFailed) as failed:
        await Cluster(Psql()).apply(every_shell, Change(""))
    assert "does not take connections" in failed.value.text
    assert "has never served anybody" in failed.value.hint
    assert "FATAL: could not create any TCP/IP sockets" in failed.value.tail
