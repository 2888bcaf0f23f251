"""What a run moved on the lab's hosts: files, starts of units, packages, objects in databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults import trees
from tests.lab.containers import Container
from tests.lab.lab import Lab
from tests.lab.observe import written

LIVE = (
    (r"/var/log/|/var/backups/|/var/lib/logrotate/", "logs, and what timers write at midnight"),
    (r"/var/lib/postgresql/\d+/main/(base|global|pg_.*)/", "PostgreSQL stores what K3s writes"),
    (r"/var/lib/systemd/(timers|random-seed|.*catalog)|/var/lib/(private|sudo)/", "systemd, sudo"),
    (r"(/home/ops|/root)/\.(bash|psql)_history$|/home/ops/\.sudo_as_admin_successful$", "logins"),
    (r"/var/lib/dpkg/lock|/var/lib/dpkg/triggers/Lock|/var/cache/apt/archives/lock", "locks"),
)
"""Files that move by themselves on a host on which nobody changes anything."""

UNITS = (
    "systemctl show '*.service' -p Id -p InvocationID -p ActiveEnterTimestampMonotonic"
    " -p TriggeredBy | awk -F= '"
    "/^Id=/ { id = $2 } /^TriggeredBy=.*timer/ { timed = 1 } /^Inv/ { run = $2 } /^Act/ { at = $2 }"
    ' /^$/ { if (!timed && run) print id, run, at; timed = 0; run = "" }'
    " END { if (!timed && run) print id, run, at }' |"
    " grep -v '^\\(user\\|session\\|user-runtime-dir\\|systemd-\\)'"
)
"""When each service was started last; those that a timer starts are not about a run."""


_LISTED = (
    'cd /var/lib/dpkg/info; awk \'{ sub(/^remove-on-upgrade /, ""); of = FILENAME;'
    ' sub(/(:[a-z0-9]+)?\\.(list|conffiles)$/, "", of); print of, $0 }\' *.list *.conffiles'
)
_NEEDS = "dpkg-query -W -f '${Package} ${Depends}, ${Pre-Depends}, ${Recommends}\\n'"


@dataclass(frozen=True)
class HostState:
    """What a host has: `files` as ``observe.written``, `starts` by unit, `facts` as lines.

    Of each package, `listed` has the paths, and `needs` the names that it depends on or recommends.
    """

    files: dict[str, tuple[int, int, int, int]]
    starts: dict[str, str]
    facts: frozenset[str]
    listed: dict[str, set[str]]
    needs: dict[str, set[str]]


State = dict[str, HostState]

Desk = dict[str, tuple[int, int, int]]
"""The operator's files by their names: mode, size and mtime in nanoseconds."""


def desk(folder: Path) -> Desk:
    """The profile and what runs put beside it; not what is recorded of each run."""
    found = {}
    for path in folder.iterdir():
        if path.is_file():
            info = path.stat()
            found[path.name] = info.st_mode, info.st_size, info.st_mtime_ns
    return found


def state(lab: Lab) -> State:
    return {name: _of(host) for name, host in lab.containers.items()}


def _of(host: Container) -> HostState:
    starts = dict(line.split(" ", 1) for line in host.sh(f"{UNITS} || :").splitlines())
    listed: dict[str, set[str]] = {}
    for line in host.sh(_LISTED).splitlines():
        package, _, path = line.partition(" ")
        # Under every name that it has on a host whose /usr is merged.
        listed.setdefault(package, set()).update((path, f"/usr{path}"))
    needs = {
        package: set(re.findall(r"(?:^|[,|] ?)([a-z0-9][a-z0-9.+-]+)", words))
        for package, _, words in (line.partition(" ") for line in host.sh(_NEEDS).splitlines())
    }
    return HostState(written(host), starts, frozenset(trees.facts(host)), listed, needs)


def moved_files(before: HostState, after: HostState) -> list[str]:
    """Paths written, changed, replaced or removed in between."""
    return sorted(
        path
        for path in before.files.keys() | after.files.keys()
        if before.files.get(path) != after.files.get(path)
        and not any(re.match(pattern, path) for pattern, _ in LIVE)
    )


def started_units(before: HostState, after: HostState) -> list[str]:
    """Units that were started, stopped or restarted in between."""
    return sorted(
        unit
        for unit in before.starts.keys() | after.starts.keys()
        if before.starts.get(unit) != after.starts.get(unit)
    )


def moved(before: State, after: State) -> Iterator[str]:
    """All of it, a line each; none when nothing happened."""
    for name in before:
        yield from (f"{name}:{path}" for path in moved_files(before[name], after[name]))
        yield from (f"{name}: {unit}" for unit in started_units(before[name], after[name]))
        yield from (f"{name}: {fact}" for fact in before[name].facts ^ after[name].facts)
