"""The how-to's five hosts as a site: a profile, plausible facts, and secrets that show up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from k3s_tui.core.address import ip
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.facts import Facts
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure.site import Credentials, Site, peers_of
from k3s_tui.profile.load import load, parse
from k3s_tui.profile.model import HostEntry, Profile

_FILE = Path(__file__).parents[3] / "docs" / "examples" / "how-to.toml"
_TEXT = _FILE.read_text()
HOW_TO = load(_FILE)
IPV6 = parse(_TEXT.replace("10.161.129.", "fd00::"), "ipv6.toml").profile
"""The same with IPv6 addresses everywhere."""

BOTH = parse(
    re.sub(
        r'address = "10.161.129.(\d+)"\nroles',
        r"""address = "10.161.129.\1"
node-ip = "10.161.129.\1,fd00::\1"
roles""",
        _TEXT,
    ).replace(
        "[k3s.server-config]\n",
        """[k3s.server-config]
cluster-cidr = "10.42.0.0/16,fd00:42::/56"
service-cidr = "10.43.0.0/16,fd00:43::/112"
""",
    ),
    "both.toml",
).profile
"""And with an address of each family for every host."""

GIB = 1024 * 1024
"""KiB."""

CANARY = "canary-that-must-not-sing"
CREDENTIALS = Credentials(
    datastore_password=Secret(f"password-{CANARY}"),
    token=Secret(f"token-{CANARY}"),
    agent_token=Secret(f"agent-{CANARY}"),
)
AUTHORITY = Authority.create("a test's CA", 3650, datetime(2024, 1, 1, tzinfo=UTC))


def facts_of(profile: Profile, name: str) -> Facts:
    """A host that has everything, and the address that the profile says."""
    own = profile.hosts[name].cluster_addresses
    return Facts(
        os_id="debian",
        os_name="Debian GNU/Linux 12 (bookworm)",
        arch="x86_64",
        machine_id=f"machine-id-of-{name}",
        init="systemd",
        cpus=2,
        memory_kib=4 * GIB,
        disk_free_kib={"/var/lib": 40 * GIB, "/tmp": 2 * GIB},
        cgroup="v2",
        cgroup_controllers=frozenset({"cpu", "memory", "pids", "io"}),
        addresses=(("lo", "127.0.0.1"), ("lo", "::1"), *(("eth0", address) for address in own)),
        default_route=True,
        route_sources={peer: _source(own, peer) for peer in peers_of(profile)},
    )


def _source(own: tuple[str, ...], peer: str) -> str | None:
    """The address of the peer's family, as the kernel would choose it."""
    return next((a for a in own if not ip(a) or (":" in a) == (":" in peer)), None)


def site(
    profile: Profile = HOW_TO,
    *,
    clocks: Mapping[str, tuple[float, float] | None] | None = None,
    recorded: Mapping[str, str] | None = None,
    credentials: Credentials = CREDENTIALS,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Site:
    """`facts` are those fields of a host's that differ, by the host's name."""
    differences = facts or {}
    assert set(differences) <= set(profile.hosts)
    return Site(
        profile=profile,
        profile_path=Path("/home/somebody/how-to.toml"),
        facts={
            name: replace(facts_of(profile, name), **differences.get(name, {}))
            for name in profile.hosts
        },
        clocks=dict.fromkeys(profile.hosts, (0.0, 0.6)) | dict(clocks or {}),
        credentials=credentials,
        authority=AUTHORITY,
        recorded=dict(recorded or {}),
    )


def changed(profile: Profile = HOW_TO, **sections: Mapping[str, Any]) -> Profile:
    """The profile with fields of its sections replaced: `changed(k3s={"version": …})`."""
    return msgspec.structs.replace(
        profile,
        **{
            name: msgspec.structs.replace(getattr(profile, name), **fields)
            for name, fields in sections.items()
        },
    )


def with_host(name: str, entry: HostEntry, profile: Profile = HOW_TO) -> Profile:
    """The profile with one more host, or another one of that name."""
    return msgspec.structs.replace(profile, hosts={**profile.hosts, name: entry})


def with_node_ip(name: str, node_ip: str, profile: Profile = HOW_TO) -> Profile:
    entry = msgspec.structs.replace(profile.hosts[name], node_ip=node_ip)
    return with_host(name, entry, profile)
