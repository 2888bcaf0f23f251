"""All that the chapters are written from: what the operator wants, and what the hosts are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from k3s_tui.core.contract import Host
from k3s_tui.core.errors import Refused
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
        """Raises Refused for a distribution that is none of ours."""
        facts = self.facts[name]
        try:
            return family_of(facts.os_id, " ".join(facts.os_like))
        except Refused as refused:
            raise Refused(refused.text, hint=refused.hint, host=name) from None

    def address(self, name: str) -> str:
        """The IP address at which the other hosts reach this one.

        Raises Refused when the profile has a name for it and the host has no such address.
        """
        wanted = self.profile.hosts[name].cluster_address
        if _is_address(wanted):
            return wanted
        # Named in the profile: the address from which the host reaches the others, or its first.
        facts = self.facts[name]
        candidates = (*facts.route_sources.values(), *(address for _, address in facts.addresses))
        for candidate in candidates:
            if candidate is not None and not _is_local(candidate):
                return candidate
        raise Refused(
            "it says no address of its own at which the other hosts could reach it",
            hint=f'set node-ip in [hosts.{name}]: "{wanted}" is only where SSH goes',
            host=name,
        )

    def source(self, name: str, peer: str) -> str:
        """The address that `peer` sees when `name` connects to it, as the host's routes say."""
        return self.facts[name].route_sources.get(self.address(peer)) or self.address(name)

    @property
    def registration_url(self) -> str:
        balancer = self.profile.loadbalancer
        address = f"[{balancer.address}]" if ":" in balancer.address else balancer.address
        return f"https://{address}:{balancer.port}"

    @property
    def api_port(self) -> int:
        """The port that every server's API listens on."""
        return self.profile.api_port


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


def _is_local(address: str) -> bool:
    """Whether it means something on its own host or link only."""
    parsed = ip_address(address)
    return parsed.is_loopback or parsed.is_link_local
