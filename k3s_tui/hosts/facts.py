"""What a host is, as one frozen value: read by one script, parsed by one pure function."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from k3s_tui.hosts.listeners import Listener, parse_listeners
from k3s_tui.hosts.sanitize import sanitize

Role = Literal["server", "agent"]


_KEYS = frozenset(
    [
        "address",
        "arch",
        "balancer-pid",
        "cgroup",
        "cloud-init",
        "command",
        "controllers",
        "cpus",
        "default-route",
        "disk",
        "firewalld",
        "init",
        "k3s",
        "k3s-unit",
        "leftover",
        "machine-id",
        "manage-hosts",
        "mark",
        "meminfo",
        "module-missing",
        "netstat",
        "now",
        "os",
        "postgres",
        "procnet",
        "route",
        "selinux",
        "ss",
        "ufw",
    ]
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What could be found out; None and empty stand for unknown or absent.

    Sizes are KiB.  `now` is seconds since the epoch by the host's clock.  `addresses` are
    (interface, address) without prefix length.  `route_sources` has a key for each peer that was
    asked for: None when there is no route.
    """

    os_id: str = ""
    os_like: tuple[str, ...] = ()
    os_name: str = ""
    arch: str = ""
    machine_id: str = ""
    init: str = ""
    """systemd, openrc, or the name of process 1."""
    cpus: int | None = None
    memory_kib: int | None = None
    disk_free_kib: Mapping[str, int] = field(default_factory=dict)
    cgroup: Literal["v2", "v1", "hybrid"] | None = None
    cgroup_controllers: frozenset[str] = frozenset()
    addresses: tuple[tuple[str, str], ...] = ()
    temporary_addresses: frozenset[str] = frozenset()
    """Those of IPv6's privacy extensions, which the host replaces from time to time."""
    default_route: bool = False
    route_sources: Mapping[str, str | None] = field(default_factory=dict)
    listening: tuple[Listener, ...] = ()
    now: int | None = None
    selinux: Literal["enforcing", "permissive", "disabled", "absent"] = "absent"
    firewalls: tuple[str, ...] = ()
    """Those that are active: firewalld, ufw."""
    modules_missing: tuple[str, ...] = ()
    cloud_init_manages_hosts: bool = False
    cloud_init_running: bool = False
    k3s_version: str | None = None
    k3s_role: Role | None = None
    k3s_leftovers: tuple[str, ...] = ()
    postgres_version: int | None = None
    """`server_version_num` of the server that runs, such as 150008."""
    balancer_pid: int | None = None
    """The master process of the load balancer that k3s-tui made."""
    commands: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()
    """Those of the paths asked for that are there."""

    @property
    def nginx_installed(self) -> bool:
        return "nginx" in self.commands


def parse(out: bytes) -> Facts:
    """The facts in the output of `facts_script`; lines that say nothing known are left out."""
    said: dict[str, list[str]] = {}
    for line in out.decode(errors="replace").split("\n"):
        key, _, value = sanitize(line).partition(" ")
        if key in _KEYS:
            said.setdefault(key, []).append(value.strip())

    def first(key: str) -> str:
        return said.get(key, [""])[0]

    def every(key: str) -> list[str]:
        return said.get(key, [])

    release = dict(_assignment(line) for line in every("os"))
    memory = dict(_meminfo(line) for line in every("meminfo"))
    return Facts(
        os_id=release.get("ID", ""),
        os_like=tuple(release.get("ID_LIKE", "").split()),
        os_name=release.get("PRETTY_NAME", ""),
        arch=first("arch"),
        machine_id=first("machine-id"),
        init=first("init"),
        cpus=_int(first("cpus")),
        memory_kib=memory.get("MemTotal"),
        disk_free_kib=_disk(every("disk")),
        cgroup=_cgroup(first("cgroup")),
        cgroup_controllers=frozenset(" ".join(every("controllers")).split()),
        addresses=tuple(found for line in every("address") if (found := _address(line))),
        temporary_addresses=frozenset(
            found[1]
            for line in every("address")
            if (found := _address(line)) and "temporary" in line.split()
        ),
        default_route=first("default-route") == "yes",
        route_sources=_routes(every("route")),
        listening=parse_listeners(every("ss"), every("netstat"), every("procnet")),
        now=_int(first("now")),
        selinux=_selinux(first("selinux")),
        firewalls=_firewalls(first("firewalld"), first("ufw")),
        modules_missing=tuple(every("module-missing")),
        cloud_init_manages_hosts=any(map(_manages_hosts, every("manage-hosts"))),
        cloud_init_running=first("cloud-init") == "running",
        k3s_version=_k3s_version(first("k3s")),
        k3s_role=_role(every("k3s-unit")),
        k3s_leftovers=tuple(every("leftover")),
        postgres_version=_int(first("postgres")),
        balancer_pid=_int(first("balancer-pid")),
        commands=frozenset(every("command")),
        marks=frozenset(every("mark")),
    )


def skew(t0: float, t1: float, facts: Facts) -> tuple[float, float] | None:
    """By how many seconds the host's clock is ahead of ours, and how far that can be off.

    `t0` and `t1` are our clock just before and after the script ran.  None when the host did not
    say its time.
    """
    if facts.now is None:
        return None
    # The host tells whole seconds: on average it is half a second later.
    return facts.now + 0.5 - (t0 + t1) / 2, (t1 - t0) / 2 + 0.5


def _int(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def _assignment(line: str) -> tuple[str, str]:
    """`KEY="value"` of os-release."""
    key, _, value = line.partition("=")
    return key, value.strip("\"'")


def _meminfo(line: str) -> tuple[str, int | None]:
    """`MemTotal:  1024 kB`; the kernel means KiB."""
    key, _, value = line.partition(":")
    return key, _int(value.split()[0]) if value.split() else None


def _disk(lines: Iterable[str]) -> dict[str, int]:
    found = {}
    for line in lines:
        free, _, path = line.partition(" ")
        size = _int(free)
        if size is not None:
            found[path] = size
    return found


def _cgroup(text: str) -> Literal["v2", "v1", "hybrid"] | None:
    match text:
        case "v2" | "v1" | "hybrid":
            return text
        case _:
            return None


def _address(line: str) -> tuple[str, str] | None:
    """`2: eth0    inet 10.0.0.1/24 brd …`"""
    match = re.match(r"\d+: (\S+)\s+inet6? ([0-9a-fA-F.:]+)", line)
    return (match[1], match[2]) if match else None


def _routes(lines: Iterable[str]) -> dict[str, str | None]:
    """`10.0.0.2 10.0.0.2 dev eth0 src 10.0.0.1 …`; only the peer when there is no route."""
    found = {}
    for line in lines:
        peer = line.partition(" ")[0]
        source = re.search(r" src ([0-9a-fA-F.:]+)", line)
        if peer:
            # The kernel names a source even for a way that it refuses, in IPv6.
            refused = re.search(r" (unreachable|prohibit|blackhole|error) ", f"{line} ")
            found[peer] = source[1] if source and not refused else None
    return found


def _selinux(text: str) -> Literal["enforcing", "permissive", "disabled", "absent"]:
    match text.lower():
        case "enforcing" | "1":
            return "enforcing"
        case "permissive" | "0":
            return "permissive"
        case "disabled":
            return "disabled"
        case _:
            return "absent"


def _firewalls(firewalld: str, ufw: str) -> tuple[str, ...]:
    active = {"firewalld": firewalld == "active", "ufw": ufw.lower() == "enabled=yes"}
    return tuple(name for name, is_active in active.items() if is_active)


def _manages_hosts(line: str) -> bool:
    """`manage_etc_hosts: true`; localhost and template rewrite /etc/hosts as well."""
    value = line.partition(":")[2].partition("#")[0].strip().strip("\"'").lower()
    return value in ("true", "yes", "on", "localhost", "template")


def _k3s_version(text: str) -> str | None:
    match = re.match(r"k3s version (\S+)", text)
    return match[1] if match else None


def _role(units: Iterable[str]) -> Role | None:
    """By the unit's file; both on one host is a server, which runs an agent of its own."""
    found = set(units)
    if "k3s" in found:
        return "server"
    return "agent" if "k3s-agent" in found else None
