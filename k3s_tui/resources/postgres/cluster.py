"""A PostgreSQL cluster that runs, starts at boot, and says itself where its files are."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.resources.postgres.psql import AS_POSTGRES, Psql, answer, field, fields

OLDEST = 13
"""Before 12, `clientcert=verify-full` switches the check of certificates off without an error;
12 has had no fixes since 2024."""

DATA_FOLDERS = (
    "/var/lib/postgresql/*/main",
    "/var/lib/postgresql/*/data",
    "/var/lib/pgsql/data",
    "/var/lib/pgsql/*/data",
    "/var/lib/postgres/data",
)
"""Where distributions keep a cluster: sh patterns.  Only to see that one is there already."""

_LOOK = """
show data_directory;
select json_build_object(
    'version', current_setting('server_version_num')::int,
    'config_file', current_setting('config_file'),
    'hba_file', current_setting('hba_file'),
    'ident_file', current_setting('ident_file'),
    'data_directory', current_setting('data_directory'),
    'listen_addresses', current_setting('listen_addresses'),
    'port', current_setting('port')::int,
    'standby', pg_is_in_recovery());
"""

# We never remove a data folder: that it has served nobody is for its operator to know.
_HALF_MADE = (
    "see why in its log. If the power went while it was being made and it has never served"
    " anybody, it never will: remove it (Debian: pg_dropcluster VERSION main), then run again"
)

# A cluster that runs is asked which unit it runs in: an administrator may have made his own.
# What only the umbrella starts (Debian's postgresql.service) is as enabled as the umbrella.
_UNIT = """\
running_in() { # data folder of the running cluster
    read -r pid <"$1/postmaster.pid" &&
        sed -n 's|.*/\\([^/]*\\.service\\)$|\\1|p' "/proc/$pid/cgroup" | sed -n 1p
}
enabled() { # unit
    case $(systemctl is-enabled "$1") in
        enabled) echo yes ;;
        enabled-runtime) [ "$(systemctl is-enabled postgresql)" = enabled ] && echo yes ;;
    esac
}
"""


@dataclass(frozen=True)
class ClusterState:
    """What a cluster says of itself; `version` is `server_version_num`, 0 while it does not run.

    `on_disk` is the newest major version among the data folders that exist, '' without one.
    """

    running: bool = False
    version: int = 0
    config_file: str = ""
    hba_file: str = ""
    ident_file: str = ""
    data_directory: str = ""
    listen_addresses: str = ""
    port: int = 0
    standby: bool = False
    unit: str = ""
    enabled: bool = False
    active: bool = False
    on_disk: str = ""

    @property
    def major(self) -> int:
        """10 or more for all that are accepted; 0 when nothing is known."""
        if self.version:
            return self.version // 10000
        return _major(self.on_disk)


@dataclass(frozen=True)
class Cluster:
    """The cluster that answers on `psql`'s port runs now and after a reboot.

    `initdb` is sh that makes one, '' where the package or the unit's first start does so; it never
    runs when a data folder with a PG_VERSION exists.  `unit` is sh that prints the unit of the
    distribution's own cluster, for as long as none runs.
    """

    psql: Psql
    initdb: str = ""
    unit: str = "echo postgresql.service"
    data_folders: tuple[str, ...] = DATA_FOLDERS

    def probe(self) -> Probe[ClusterState]:
        script = (
            f"{AS_POSTGRES}{_UNIT}{self._on_disk()}"
            f"answer=$({self.psql.run(_LOOK)})\n"
            "data=$(printf '%s\\n' \"$answer\" | sed -n 1p)\n"
            'unit=$([ -z "$data" ] || running_in "$data")\n'
            f'if [ -z "$unit" ]; then unit=$(\n{self.unit}\n); fi\n'
            + "\n".join(
                (
                    field("answer", "printf '%s\\n' \"$answer\" | sed 1d"),
                    field("unit", 'echo "$unit"'),
                    field("enabled", 'enabled "$unit"'),
                    field("active", 'systemctl is-active "$unit"'),
                    field("disk", "on_disk"),
                )
            )
        )
        return Probe(script, _parse)

    def diff(self, now: ClusterState) -> Change[ClusterState] | Problem | None:
        if problem := too_old(now) or standby(now):
            return problem
        wrong = []
        if not now.running and not now.on_disk and self.initdb:
            wrong.append("make a PostgreSQL cluster")
        if not now.enabled:
            wrong.append("start PostgreSQL at boot")
        if not (now.running and now.active):
            wrong.append("start PostgreSQL")
        return Change(", ".join(wrong)) if wrong else None

    async def apply(self, on: Hands, change: Change[ClusterState]) -> None:
        make = f'if [ -z "$(on_disk)" ]; then\n(\n{self.initdb}\n) || exit 1\nfi\n'
        script = (
            f"{AS_POSTGRES}{_UNIT}{self._on_disk()}{make if self.initdb else ''}"
            f"unit=$(\n{self.unit}\n)\n"
            'if [ "$(enabled "$unit")" != yes ]; then systemctl enable "$unit" || exit 1; fi\n'
            'systemctl start "$unit"\n'
            f"{self.psql.await_ready()} || {{\n"
            '    journalctl -u "$unit" -n 20 --no-pager >&2\n'
            '    echo "PostgreSQL does not take connections" >&2\n    exit 1\n}\n'
        )
        try:
            await on.sh(script)
        except StepFailed as failed:
            failed.hint = failed.hint or _HALF_MADE
            raise

    def _on_disk(self) -> str:
        """Defines `on_disk`, which prints the version of each data folder that exists."""
        patterns = " ".join(self.data_folders)
        return (
            f"on_disk() {{ for folder in {patterns}; do\n"
            '    if [ -s "$folder/PG_VERSION" ]; then cat "$folder/PG_VERSION"; fi\n'
            "done; }\n"
        )


@dataclass(frozen=True)
class SupportedVersion:
    """A preflight check: what is there already is no PostgreSQL too old, and no standby."""

    cluster: Cluster

    def probe(self) -> Probe[ClusterState]:
        return self.cluster.probe()

    def diff(self, now: ClusterState) -> Change[ClusterState] | Problem | None:
        return too_old(now) or standby(now)


def standby(now: ClusterState) -> Problem | None:
    if not (now.running and now.standby):
        return None
    return Problem(
        "this PostgreSQL is a standby, which takes no writes",
        "name the primary as the datastore, or promote this one: pg_ctl promote",
    )


def too_old(now: ClusterState) -> Problem | None:
    """The Problem of a cluster that must not be used, if it is one."""
    if not now.major or now.major >= OLDEST:
        return None
    return Problem(
        f"PostgreSQL {now.major} is older than {OLDEST}, the oldest that checks client"
        " certificates as it must and still gets fixes",
        "upgrade it (pg_upgrade), or name another host as the datastore",
    )


def _parse(out: bytes) -> ClusterState:
    said = {name: value.decode("utf-8", "replace").strip() for name, value in fields(out).items()}
    found = answer(said.get("answer", "").encode()) or {}
    return ClusterState(
        running=bool(found),
        unit=said.get("unit", ""),
        enabled=said.get("enabled") == "yes",
        active=said.get("active") == "active",
        on_disk=max(said.get("disk", "").split(), key=_major, default=""),
        **found,
    )


def _major(text: str) -> int:
    digits = text.split(".")[0]
    return int(digits) if digits.isdigit() else 0
