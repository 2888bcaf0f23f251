"""All that the chapters are written from: what the operator wants, and what the hosts are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from k3s_tui.core.contract import Host
from k3s_tui.core.secret import Secret
from k3s_tui.families import Family, family_of
from k3s_tui.hosts.facts import Facts
from k3s_tui.pki.authority import Authority
from k3s_tui.profile.model import Profile


@dataclass(frozen=True)
class Credentials:
    """The cluster's secrets, resolved."""

    datastore_password: Secret
    token: Secret
    agent_token: Secret


@dataclass(frozen=True)
class Site:
    """The profile, the facts of every host in it, and what was recorded of earlier runs.

    `clocks` are seconds by which a host's clock is ahead of the laptop's, and how far that can be
    off; None where the host did not say its time.  `recorded` are SHA-256 sums by artifact name
    (`install.sh`, `k3s-amd64`) for the profile's version, empty before the first run.
    """

    profile: Profile
    profile_path: Path
    facts: Mapping[str, Facts]
    clocks: Mapping[str, tuple[float, float] | None]
    credentials: Credentials
    authority: Authority
    recorded: Mapping[str, str]

    def family(self, name: str) -> Family:
        facts = self.facts[name]
        return family_of(facts.os_id, " ".join(facts.os_like))

    def address(self, name: str) -> str:
        """The IP address at which the other hosts reach this one."""
        wanted = self.profile.hosts[name].cluster_address
        if _is_address(wanted):
            return wanted
        # Named in the profile: what the host itself calls its address is the answer.
        return self.facts[name].addresses[0][1]

    def source(self, name: str, peer: str) -> str:
        """The address that `peer` sees when `name` connects to it, as the host's routes say."""
        return self.facts[name].route_sources.get(self.address(peer)) or self.address(name)

    @property
    def registration_url(self) -> str:
        balancer = self.profile.loadbalancer
        return f"https://{balancer.address}:{balancer.port}"

    @property
    def api_port(self) -> int:
        """The port that every server's API listens on."""
        return int(self.profile.k3s.server_config.get("https-listen-port", 6443))


def host(name: str) -> Host:
    return Host(name)


def peers_of(profile: Profile) -> tuple[str, ...]:
    """Addresses whose routes matter on every host: those of all the others that are numbers."""
    addresses = [entry.cluster_address for entry in profile.hosts.values()]
    addresses.append(profile.loadbalancer.address)
    return tuple(dict.fromkeys(a for a in addresses if _is_address(a)))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
