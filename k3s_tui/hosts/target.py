"""How one host is reached: what a profile, a lock file and a password prompt come down to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k3s_tui.core.address import parted
from k3s_tui.core.secret import Secret

AGENT = "agent"
"""The identity that stands for ssh-agent, then the keys that `ssh` itself would try."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where SSH goes, as whom, and how it becomes root there.

    `name` is the host's name in the profile and in messages.  `address` is an IP address, a DNS
    name or an alias of ~/.ssh/config.  `port` and `user` come from ~/.ssh/config when None.
    `identity` is "agent", or the path of a key file, which is then the only key that is offered.
    `jump` is the host to go through, with its own key and pin; None leaves it to ~/.ssh/config.
    `host_key` is the pinned key as in `known_hosts` ("ssh-ed25519 AAAA…"), None when not pinned.
    `connect_timeout` is in seconds and covers TCP and login, for each attempt.
    """

    name: str
    address: str
    port: int | None = None
    user: str | None = None
    identity: str = AGENT
    jump: Target | None = None
    become: Literal["sudo", "root"] = "sudo"
    sudo_password: Secret | None = None
    host_key: str | None = None
    connect_timeout: float = 15.0


def parse_jump(
    spec: str,
    *,
    identity: str = AGENT,
    host_key: str | None = None,
    connect_timeout: float = 15.0,
) -> Target:
    """A jump host written as for `ssh -J`: `[user@]host[:port]`, several with commas.

    The spec of each hop is its name, under which its key is pinned; `host_key` is the last hop's.
    Raises ValueError for a port that is not a number.
    """
    *before, last = spec.split(",")
    login, _, place = last.rpartition("@")
    host, port = parted(place)
    return Target(
        name=last,
        address=host,
        port=int(port) if port else None,
        user=login or None,
        identity=identity,
        jump=parse_jump(",".join(before), identity=identity, connect_timeout=connect_timeout)
        if before
        else None,
        host_key=host_key,
        connect_timeout=connect_timeout,
    )
