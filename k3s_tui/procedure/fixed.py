"""What of a profile cannot be changed any more, as far as the operator's machine knows.

For an editor, which asks no host.  The hosts have the last word: a plan looks at what is there, and
refuses (`resources.k3s.unchanged`, `.departed`, and the preflight's `existing-k3s`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from k3s_tui.core.events import StepDone
from k3s_tui.engine.record import EVENTS
from k3s_tui.procedure.history import replay
from k3s_tui.procedure.recording import runs_folder
from k3s_tui.profile import lockfile
from k3s_tui.profile.model import HostEntry, Profile
from k3s_tui.profile.neighbours import lock_file
from k3s_tui.resources.k3s.unchanged import FIXED, differing

Code: TypeAlias = Literal[
    "datastore", "authority", "version", "secret", "network", "node", "address", "role"
]

REASONS: dict[Code, str] = {
    "datastore": "the cluster's state is in there: elsewhere, K3s would found a second cluster",
    "authority": "running servers and the datastore trust the CA that is there, and no other",
    "version": "k3s-tui does not upgrade clusters yet",
    "secret": "its value opens what is in the datastore, and every agent has it; "
    "where it is kept may change",
    "network": "it must be the same on all servers, and was decided when the cluster was made",
    "node": "it is a node of the cluster by this name: it cannot be renamed or left out",
    "address": "the others know it by this address",
    "role": "K3s is installed there: a server stays a server, and an agent an agent",
}
"""Each to be put after the field's name; codes name them for a translation."""

_INSTALLED = re.compile(r"([^/]+)/(?:servers|agents)/k3s")
_RUNS = 20
"""Recordings that are read, from the latest on."""

_LARGEST = 64 << 20
"""Bytes of a recording that are read."""


@dataclass(frozen=True)
class Installed:
    """`nodes` are names of hosts where K3s was installed; none: no cluster is known of."""

    nodes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fixed:
    """`path` leads to a value of the profile, to a host as a whole, or to one of its roles, which
    it has or has not; `text` is English.
    """

    path: tuple[str, ...]
    code: Code

    @property
    def text(self) -> str:
        return REASONS[self.code]


def installed(profile_path: Path, profile: Profile) -> Installed:
    """What the recorded runs of this profile say; without any, its lock file.

    That one is committed with the profile, so it tells a colleague: hosts whose keys are pinned,
    once the sums of a release were recorded.  Raises LockFileInvalid.
    """
    nodes = frozenset(_recorded(profile_path, profile.name))
    if not nodes:
        lock = lockfile.load(lock_file(profile_path))
        nodes = frozenset(profile.k3s_nodes) & lock.host_keys.keys() if lock.sha256 else nodes
    return Installed(frozenset(nodes))


def fixed_fields(profile: Profile, there: Installed) -> tuple[Fixed, ...]:
    """Fields of `profile` whose values must stay as they are; none while there is no cluster.

    `profile` is the one that was applied.  The load balancer is not among them: servers and agents
    follow it to another address.
    """
    return tuple(_fixed(profile, there)) if there.nodes else ()


def changed_options(profile: Profile, before: Any, after: Any) -> tuple[str, ...]:
    """Which of the fixed options two tables of K3s's options say differently."""
    addresses = next((host.cluster_addresses for host in profile.servers.values()), ())
    tables = [
        {**(table if isinstance(table, Mapping) else {}), "node-ip": ",".join(addresses)}
        for table in (before, after)
    ]
    return differing(*tables)


def _fixed(profile: Profile, there: Installed) -> Iterator[Fixed]:
    wanted = profile.datastore
    yield Fixed(("datastore", "mode"), "datastore")
    if wanted.mode == "existing":
        yield Fixed(("datastore", "engine"), "datastore")
    if wanted.mode != "embedded":
        for key in ("hostname", "port", "database", "user"):
            yield Fixed(("datastore", key), "datastore")
    if wanted.mode == "existing" and wanted.address is not None:
        yield Fixed(("datastore", "address"), "datastore")
    if profile.has_certificates:
        yield Fixed(("pki", "mode"), "authority")
    yield Fixed(("k3s", "version"), "version")
    yield Fixed(("k3s", "token"), "secret")
    yield Fixed(("k3s", "agent-token"), "secret")
    for option in FIXED:
        if not option.startswith("node-"):
            yield Fixed(("k3s", "server-config", option), "network")
    for name, entry in profile.k3s_nodes.items():
        if name in there.nodes:
            yield Fixed(("hosts", name), "node")
            for role in ("server", "agent"):
                yield Fixed(("hosts", name, "roles", role), "role")
            yield _address(name, entry)
    if wanted.mode == "managed" and wanted.hosts_entry == "auto":
        for name, entry in profile.with_role("datastore").items():
            yield Fixed(("hosts", name, "roles", "datastore"), "datastore")
            if name not in there.nodes:  # else it is said above
                yield Fixed(("hosts", name), "datastore")
                yield _address(name, entry)


def _address(name: str, entry: HostEntry) -> Fixed:
    """What the other hosts use; where SSH goes is nobody else's affair."""
    key = "address" if entry.node_ip is None else "node-ip"
    return Fixed(("hosts", name, key), "address")


def _recorded(profile_path: Path, name: str) -> Iterator[str]:
    try:
        folders = sorted(runs_folder(profile_path, name).iterdir(), reverse=True)
    except (OSError, ValueError):
        return
    for folder in folders[:_RUNS]:
        path = folder / EVENTS
        try:
            if path.stat().st_size > _LARGEST:
                continue
            for event in replay(path):
                if isinstance(event, StepDone) and event.outcome in ("ok", "changed"):
                    found = _INSTALLED.fullmatch(event.step)
                    if found:
                        yield found[1]
        except OSError:
            continue
