"""The lab's network: a bridge in a namespace of its own, a namespace and a cable per host.

The bridge has no uplink. The root namespace holds a route that refuses the lab's addresses, set
before anything else, so that a command run outside the namespace by mistake sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .command import run
from .topology import (
    GATEWAY,
    GATEWAY6,
    HOSTS,
    LAN,
    PREFIX_LENGTH,
    SUBNET,
    SUBNET6,
    HostSpec,
)

_NAMESPACES = Path("/run/netns")
_BRIDGE = "lab0"
_RESOLVER = Path("/etc/netns") / LAN
"""``ip netns exec`` shows the files in here in place of those of /etc."""


def refuse_outside() -> None:
    """Make the root namespace refuse the lab's addresses. It stays after ``down``, harmlessly."""
    run(["ip", "route", "replace", "unreachable", SUBNET])
    if has_ipv6():
        run(["ip", "-6", "route", "replace", "unreachable", SUBNET6])


def has_ipv6() -> bool:
    """Whether the machine's kernel has IPv6; without it the lab has IPv4 only."""
    return Path("/proc/net/if_inet6").exists()


def inside(argv: Sequence[str | Path]) -> list[str]:
    """``argv`` as a command that runs in the bridge's namespace."""
    return ["ip", "netns", "exec", LAN, *(str(word) for word in argv)]


def namespace_path(host: HostSpec) -> Path:
    """The host's network namespace as a file."""
    return _NAMESPACES / host.namespace


def exists() -> bool:
    """Whether the bridge's namespace is there."""
    return (_NAMESPACES / LAN).exists()


def up() -> None:
    """Make the bridge and the hosts' cables; a half-made network is replaced."""
    refuse_outside()
    down()
    run(["ip", "netns", "add", LAN])
    _RESOLVER.mkdir(parents=True, exist_ok=True)
    (_RESOLVER / "resolv.conf").write_text(f"nameserver {GATEWAY}\noptions timeout:1 attempts:1\n")
    _batch(
        LAN,
        [
            "link set lo up",
            f"link add {_BRIDGE} type bridge forward_delay 0",
            f"address add {GATEWAY}/{PREFIX_LENGTH} dev {_BRIDGE}",
            f"link set {_BRIDGE} up",
        ],
    )
    # Forwarding to nowhere: what a host sends off the lab comes back at once as unreachable,
    # where a bridge that does not forward would swallow it until the host's own timeout.
    run(inside(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]))
    if has_ipv6():
        _batch(LAN, [f"address add {GATEWAY6}/64 dev {_BRIDGE} nodad"])
        run(inside(["sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1"]))
    for host in HOSTS:
        run(["ip", "netns", "add", host.namespace])
        _batch(
            LAN,
            [
                f"link add {host.link} type veth peer name eth0 netns {host.namespace}",
                f"link set {host.link} master {_BRIDGE} up",
            ],
        )
        _batch(
            host.namespace,
            [
                "link set lo up",
                f"address add {host.address}/{PREFIX_LENGTH} dev eth0",
                "link set eth0 up",
                f"route add default via {GATEWAY}",
            ],
        )
        if has_ipv6():
            _batch(
                host.namespace,
                [
                    f"address add {host.address6}/64 dev eth0 nodad",
                    f"route add default via {GATEWAY6}",
                ],
            )


def without_ipv4() -> None:
    """Take from the hosts all ways in IPv4 but the one to the bridge's services."""
    for host in HOSTS:
        _batch(
            host.namespace,
            [
                f"address delete {host.address}/{PREFIX_LENGTH} dev eth0",
                f"address add {host.address} peer {GATEWAY} dev eth0",
            ],
        )


def with_ipv4() -> None:
    """Give back what :func:`without_ipv4` took."""
    for host in HOSTS:
        _batch(
            host.namespace,
            [
                f"address delete {host.address} peer {GATEWAY} dev eth0",
                f"address add {host.address}/{PREFIX_LENGTH} dev eth0",
                f"route add default via {GATEWAY}",
            ],
        )


def plug(host: HostSpec, *, in_: bool) -> None:
    """Pull out the host's cable, or put it back."""
    _batch(LAN, [f"link set {host.link} {'up' if in_ else 'down'}"])


def down() -> None:
    """Delete the namespaces; with them go the bridge and the cables."""
    for name in [*(host.namespace for host in HOSTS), LAN]:
        if (_NAMESPACES / name).exists():
            run(["ip", "netns", "delete", name])
    (_RESOLVER / "resolv.conf").unlink(missing_ok=True)
    for folder in (_RESOLVER, _RESOLVER.parent):
        try:
            folder.rmdir()
        except OSError:  # absent, or holding what is not ours
            break


def _batch(namespace: str, lines: Sequence[str]) -> None:
    run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(lines).encode() + b"\n")
