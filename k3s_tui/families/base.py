"""What differs between distributions, as one value per family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from k3s_tui.core.errors import Refused

Role = Literal["postgresql", "nginx", "openssl", "logrotate", "download", "iptables"]
"""What packages are for.  `nginx` includes its stream module; `download` is curl with CAs."""


@dataclass(frozen=True)
class PostgresLayout:
    """Where PostgreSQL differs.  Paths inside a cluster are asked of the server, never assumed."""

    unit: str
    """sh that prints the cluster's unit, one line; nothing while `initdb` is still needed."""
    initdb: str
    """sh that makes a cluster when there is none.  Never touches one that exists."""
    psql: str = "runuser -u postgres -- psql -XAtq"
    """Command that talks to the cluster as its superuser; SQL comes on standard input."""
    user: str = "postgres"
    second: str = ""
    """sh that makes one more cluster, NAME PORT being its arguments; '' where none can be made."""
    second_unit: str = ""
    """sh that prints the unit of the cluster NAME."""


@dataclass(frozen=True)
class NginxLayout:
    user: str
    unit: str = "nginx.service"
    """The distribution's own service, which our load balancer does not use."""
    load_stream: str = ""
    """The line of nginx.conf that loads the stream module; '' where nginx is built with it.

    Not probed, because the plan shows the configuration before nginx is there; `nginx -t` refuses
    it before it goes live where a distribution has changed its mind.
    """


@dataclass(frozen=True)
class Family:
    """One family of distributions.  `ids` are words of ID and ID_LIKE in /etc/os-release.

    `installed` and `install` are bodies of sh functions whose arguments are package names.  The
    first prints those that are installed, one per line.  The second installs packages which are
    not, asks nothing, waits for the package manager's lock, sets what it needs of the environment
    itself, and returns its status.  `by_hand` is what an operator types to install some.
    """

    name: str
    ids: frozenset[str]
    packages: Mapping[Role, tuple[str, ...]]
    installed: str
    install: str
    by_hand: str
    postgres: PostgresLayout
    nginx: NginxLayout
    init: Literal["systemd", "openrc"] = "systemd"

    def packages_for(self, *roles: Role) -> tuple[str, ...]:
        """Package names for some roles.  Raises Refused for a role that is not known here."""
        names: list[str] = []
        for role in roles:
            if role not in self.packages:
                raise Refused(
                    f"k3s-tui does not know which package provides {role} on {self.name}",
                    hint="give this role to a host of another distribution",
                )
            names += self.packages[role]
        return tuple(dict.fromkeys(names))
