"""Names and addresses of the lab: the five hosts of the how-to, their bridge, their users.

Everything here is a constant; the rest of the lab derives what it needs from it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class HostSpec:
    """One host as the how-to introduces it."""

    name: str
    address: str
    role: str
    """The role's name in a profile: server, agent, datastore or loadbalancer."""

    @property
    def address6(self) -> str:
        """Its IPv6 address, which ends as the other one does."""
        return f"{_PREFIX6}{self.address.rsplit('.', 1)[1]}"

    @property
    def link(self) -> str:
        """Name of the bridge's end of this host's cable (15 characters is the kernel's limit)."""
        return f"veth{self.address.rsplit('.', 1)[1]}"

    @property
    def namespace(self) -> str:
        """Name of the host's network namespace."""
        return f"{LAN}-{self.name}"

    @property
    def machine(self) -> str:
        """The container's name on this machine; its own host name is :attr:`name`."""
        return f"{INSTANCE}-{self.name}" if INSTANCE else self.name


INSTANCE = os.environ.get("K3S_TUI_LAB") or os.environ.get("PYTEST_XDIST_WORKER", "")
"""Which of several labs of this machine is meant; they share caches and addresses, nothing else.
Each of the processes that tests are spread over has one of its own.
"""

LAN = f"{INSTANCE}-k3s-tui-lab" if INSTANCE else "k3s-tui-lab"
"""The namespace that holds the bridge and in which the tool under test runs."""

SUBNET = "10.161.129.0/24"
PREFIX_LENGTH = 24
GATEWAY = "10.161.129.1"
"""The bridge itself: default route of the hosts, package repository, release server and DNS.

Nothing lies behind it. The hosts have a default route because K3s wants one.
"""

_PREFIX6 = "fd00:10:161:129::"
SUBNET6 = f"{_PREFIX6}/64"
GATEWAY6 = f"{_PREFIX6}1"
"""The same once more in IPv6, where the machine has it; the services are at :data:`GATEWAY`."""

HOSTS: tuple[HostSpec, ...] = (
    HostSpec("k3s-server-1", "10.161.129.54", "server"),
    HostSpec("k3s-server-2", "10.161.129.154", "server"),
    HostSpec("k3s-agent", "10.161.129.196", "agent"),
    HostSpec("postgres", "10.161.129.212", "datastore"),
    HostSpec("nginx", "10.161.129.118", "loadbalancer"),
)

USER = "ops"
"""Login whose sudo asks for nothing."""

PASSWORD_USER = "opspw"
"""Login whose sudo asks for :data:`SUDO_PASSWORD`."""

SUDO_PASSWORD = "lab-sudo-password"
"""Known to everybody: the hosts that accept it exist inside the lab's namespaces only."""

MARKER = "/etc/k3s-tui-lab"
"""File on every lab host, and nowhere else. The stand-in K3s refuses to run without it."""

STANDIN_HOME = "/opt/standin"
"""Where the stand-in's own Python lives on a host: off every PATH."""

K3S_VERSION = "v1.34.1+k3s1"
"""Version that the stand-in gives itself out for.

K3s 1.35 and later refuse cgroup v1, which is what some build machines have.
"""

RELEASE_NAMES: tuple[str, ...] = (
    "get.k3s.io",
    "github.com",
    "objects.githubusercontent.com",
    "release-assets.githubusercontent.com",
)
"""What the lab's DNS answers, each with :data:`GATEWAY`; nothing else exists."""
