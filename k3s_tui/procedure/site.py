"""All that the chapters are written from: what the operator wants, and what the hosts are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from k3s_tui.core.address import canonical, ip, url
from k3s_tui.core.contract import Host
from k3s_tui.core.errors import Refused
from k3s_tui.core.secret import Secret
from k3s_tui.families import Family, family_of
from k3s_tui.hosts.facts import Facts
from k3s_tui.pki.adopt import Kept
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure.adoption import Adoption
from k3s_tui.procedure.database_files import NO_FILES, DatabaseFiles
from k3s_tui.profile.model import Profile
from k3s_tui.resources.given_certificate import Leaf
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA
from k3s_tui.resources.k3s.service import MARK
from k3s_tui.resources.postgres.psql import Psql


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
    `pinned` are the names whose host keys were recorded, jump hosts among them.  `authority` is
    empty where no CA of ours signs for the datastore.  `leaves` were signed elsewhere, by their
    names in `own_pki`.  `adoption` is what was found of a PostgreSQL that runs already on the
    datastore's host; `allow_restart`: it may be restarted under the sessions of others.
    """

    profile: Profile
    profile_path: Path
    facts: Mapping[str, Facts]
    clocks: Mapping[str, tuple[float, float] | None]
    credentials: Credentials
    authority: Authority
    recorded: Mapping[str, str]
    pinned: frozenset[str] = frozenset()
    database_files: DatabaseFiles = NO_FILES
    adoption: Adoption | None = None
    allow_restart: bool = False
    leaves: Mapping[str, Leaf] = field(default_factory=dict)

    @property
    def kept(self) -> Kept | None:
        """A certificate of PostgreSQL's own that stays."""
        found = self.adoption.certificate if self.adoption else None
        return found if isinstance(found, Kept) else None

    @property
    def datastore_ca(self) -> str:
        """The CA (PEM) by which servers know PostgreSQL: ours, unless it has a certificate."""
        return self.kept.ca_pem if self.kept else self.authority.ca_pem

    @property
    def psql(self) -> Psql:
        """The way to PostgreSQL on its own host."""
        socket = self.adoption.standing.socket if self.adoption else ""
        return Psql(self.profile.datastore.port, socket)

    @property
    def has_hosts_entry(self) -> bool:
        """Whether the datastore's name goes into /etc/hosts: never over a DNS that knows it."""
        wanted = self.profile.datastore
        if wanted.mode == "embedded" or wanted.hosts_entry == "never":
            return False
        return wanted.mode == "managed" or wanted.address is not None

    def is_ours(self, name: str) -> bool:
        """Whether K3s is installed there, by k3s-tui."""
        facts = self.facts[name]
        return facts.k3s_role is not None and MARK in facts.marks

    @property
    def founded(self) -> tuple[str, ...]:
        """Servers of the profile that belong to a cluster: they have its CA."""
        return tuple(
            name
            for name in self.profile.servers
            if self.is_ours(name) and CLUSTER_CA in self.facts[name].marks
        )

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
        return self.addresses(name)[0]

    def addresses(self, name: str) -> tuple[str, ...]:
        """The host's IP addresses inside the cluster, at most one of each family.

        Raises Refused as `address` does.
        """
        wanted = self.profile.hosts[name].cluster_addresses
        if all(map(ip, wanted)):
            return wanted
        # Named in the profile: the address from which the host reaches the others, or its first.
        facts = self.facts[name]
        candidates = (*facts.route_sources.values(), *(address for _, address in facts.addresses))
        for candidate in candidates:
            if candidate is not None and not _is_local(candidate):
                return (canonical(candidate),)
        raise Refused(
            "it says no address of its own at which the other hosts could reach it",
            hint=f'set node-ip in [hosts.{name}]: "{wanted[0]}" is only where SSH goes',
            host=name,
        )

    def towards(self, name: str, peer: str) -> str:
        """The address of `peer` that `name` has a route to; its first, if there is none."""
        routes = self.facts[name].route_sources
        found = self.addresses(peer)
        return next((address for address in found if routes.get(address)), found[0])

    def source(self, name: str, peer: str) -> str:
        """The address that `peer` sees when `name` connects to it, as the host's routes say."""
        target = self.towards(name, peer)
        return self.facts[name].route_sources.get(target) or self._of_family(name, target)

    def _of_family(self, name: str, target: str) -> str:
        own = self.addresses(name)
        fits = (a for a in own if ip_address(a).version == ip_address(target).version)
        return next(fits, own[0])

    @property
    def registration_url(self) -> str:
        balancer = self.profile.loadbalancer
        return url("https", canonical(balancer.address), balancer.port)

    @property
    def api_port(self) -> int:
        """The port that every server's API listens on."""
        return self.profile.api_port


def host(name: str) -> Host:
    return Host(name)


def peers_of(profile: Profile) -> tuple[str, ...]:
    """Addresses whose routes matter on every host: those of all the others that are numbers."""
    addresses = [a for entry in profile.hosts.values() for a in entry.cluster_addresses]
    addresses.append(canonical(profile.loadbalancer.address))
    return tuple(dict.fromkeys(address for address in addresses if ip(address)))


def _is_local(address: str) -> bool:
    """Whether it means something on its own host or link only."""
    parsed = ip_address(address)
    return parsed.is_loopback or parsed.is_link_local
