"""What no single value can say: the rules between hosts, roles, ports and secrets.

Each rule yields located problems; those of K3s's own options are in `k3s_options`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from k3s_tui.core.address import canonical, ip
from k3s_tui.profile.k3s_options import check_options
from k3s_tui.profile.model import HostEntry, Profile, RoleName
from k3s_tui.profile.networks import check_networks
from k3s_tui.profile.problem import ProfileProblem, did_you_mean, nearest, shown

OLDEST_K3S = (1, 21)
"""The first whose cluster on an external datastore needs, and keeps to, one token."""

COUNTING = frozenset({"no-server", "one-server", "even-servers", "no-datastore", "no-loadbalancer"})
"""Problems that hold only if every host's roles are known."""

_AGENT_PORTS = (6443, 6444)
"""An agent, too, listens: on its loopback, for its kubelet and its proxy."""

_SERVER_PORTS = (6444, 10010, 10248, 10249, 10250, 10256, 10257, 10258, 10259)
"""Besides its API's, a server has these: its API server's own on 6444, among others."""

_KUBELET_PORT = 10250
_RESERVED_NAMES = {"laptop": "it is how k3s-tui calls the machine it runs on"}
_KUBELET_MAY_SET = {
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
}


def check(profile: Profile) -> Iterator[ProfileProblem]:
    """Every problem and warning of a profile whose single values are right."""
    for rule in _RULES:
        yield from rule(profile)


def role_counts(profile: Profile) -> Iterator[ProfileProblem]:
    """At least one server; exactly one managed datastore and one managed load balancer."""
    servers = profile.servers
    if not servers:
        yield ProfileProblem(
            "no-server",
            'no host has the role "server"',
            ("hosts",),
            help='give at least two hosts roles = ["server"]; with one there is no failover',
        )
    elif len(servers) == 1:
        yield ProfileProblem(
            "one-server",
            "there is only one server: the cluster is not highly available",
            ("hosts", *servers, "roles"),
            help="add a second server, so that one of them may fail",
            severity="warning",
        )
    if profile.datastore.mode == "managed":
        yield from _exactly_one(profile.with_role("datastore"), "datastore")
    if profile.loadbalancer.mode == "managed":
        yield from _exactly_one(profile.with_role("loadbalancer"), "loadbalancer")


def external_loadbalancer(profile: Profile) -> Iterator[ProfileProblem]:
    """What is said of a load balancer of ours means nothing for another's."""
    if profile.loadbalancer.mode != "external":
        return
    for name, host in profile.with_role("loadbalancer").items():
        yield ProfileProblem(
            "needless-role",
            f'{shown(name)} has the role "loadbalancer", but loadbalancer.mode is "external"',
            ("hosts", name, "roles", host.roles.index("loadbalancer")),
            help="leave the role out: k3s-tui does not touch an external load balancer",
        )
    if profile.loadbalancer.method is not None:
        yield ProfileProblem(
            "needless-setting",
            "an external load balancer chooses servers as it likes",
            ("loadbalancer", "method"),
            help='leave method out, or set mode = "managed"',
        )
    own = {_same(a) for h in profile.servers.values() for a in (h.address, *h.cluster_addresses)}
    if _same(profile.loadbalancer.address) in own:
        yield ProfileProblem(
            "registration-at-a-server",
            f"{shown(profile.loadbalancer.address)} is a server itself, and no load balancer",
            ("loadbalancer", "address"),
            help="without that server, nothing would answer at the registration address",
            severity="warning",
        )


def _exactly_one(hosts: dict[str, HostEntry], role: RoleName) -> Iterator[ProfileProblem]:
    if not hosts:
        yield ProfileProblem(
            f"no-{role}", f'no host has the role "{role}"', ("hosts",), help="exactly one must"
        )
    first, *others = hosts or [""]
    for other in others:
        yield ProfileProblem(
            f"several-{role}s",
            f'{shown(other)} and {shown(first)} both have the role "{role}"',
            ("hosts", other, "roles", hosts[other].roles.index(role)),
            help="exactly one host may",
        )


def roles_fit_together(profile: Profile) -> Iterator[ProfileProblem]:
    for name, host in profile.hosts.items():
        for index, role in enumerate(host.roles):
            if role in host.roles[:index]:
                yield ProfileProblem(
                    "duplicate-role", f'the role "{role}" twice', ("hosts", name, "roles", index)
                )
        if {"server", "agent"} <= set(host.roles):
            yield ProfileProblem(
                "server-and-agent",
                f"{shown(name)} is both server and agent",
                ("hosts", name, "roles", host.roles.index("agent")),
                help='a server is also a node that runs pods: leave out "agent"',
            )
        if (host.labels or host.taints) and not {"server", "agent"} & set(host.roles):
            yield ProfileProblem(
                "unused-labels",
                f"{shown(name)} is not a node of the cluster: labels and taints have no effect",
                ("hosts", name, "labels" if host.labels else "taints"),
                severity="warning",
            )


def names(profile: Profile) -> Iterator[ProfileProblem]:
    for name in profile.hosts:
        if name in _RESERVED_NAMES:
            yield ProfileProblem(
                "reserved-name",
                f"a host cannot be called {shown(name)}",
                ("hosts", name),
                help=_RESERVED_NAMES[name],
                at="key",
            )


def addresses(profile: Profile) -> Iterator[ProfileProblem]:
    """Well-formed, and each its own: by SSH, and inside the cluster."""
    by_ssh: dict[tuple[str, int], str] = {}
    in_cluster: dict[str, str] = {}
    for name, host in profile.hosts.items():
        yield from _well_formed(host.address, ("hosts", name, "address"))
        for text in host.node_ips:
            if ip(text) is not None:
                continue
            yield ProfileProblem(
                "bad-address",
                f"{shown(text)} is not an IP address",
                ("hosts", name, "node-ip"),
                expected="an IP address",
            )
        reached = _same(host.address), profile.ssh_port(name)
        inside = [_same(text) for text in host.cluster_addresses]
        taken = next((text for text in inside if text in in_cluster), None)
        key = "address" if host.node_ip is None else "node-ip"
        if reached in by_ssh:
            yield _taken(by_ssh[reached], host.address, ("hosts", name, "address"))
        elif taken is not None:
            yield _taken(in_cluster[taken], taken, ("hosts", name, key))
        by_ssh.setdefault(reached, name)
        in_cluster |= dict.fromkeys((text for text in inside if text not in in_cluster), name)
    yield from _well_formed(profile.loadbalancer.address, ("loadbalancer", "address"))
    for place, names in (
        (("k3s", "tls-san"), profile.k3s.tls_san),
        (("pki", "datastore-san"), profile.pki.datastore_san),
    ):
        for index, name in enumerate(names):
            yield from _well_formed(name, (*place, index))


def _taken(other: str, address: str, path: tuple[str, ...]) -> ProfileProblem:
    return ProfileProblem(
        "duplicate-address",
        f"{shown(address)} is also the address of {shown(other)}",
        path,
        help="every host needs an address of its own",
    )


def _well_formed(address: str, path: tuple[str | int, ...]) -> Iterator[ProfileProblem]:
    looks_numeric = ":" in address or re.fullmatch(r"[0-9.]+", address)
    empty_label = not address.strip(".") or ".." in address
    if (looks_numeric and ip(address) is None) or empty_label:
        yield ProfileProblem(
            "bad-address",
            f"{shown(address)} is not a valid address",
            path,
            expected="an IP address or a host name",
        )


def jumps(profile: Profile) -> Iterator[ProfileProblem]:
    for name, host in profile.hosts.items():
        if host.jump is None:
            continue
        path = ("hosts", name, "jump")
        port = re.search(r":([0-9]+)$", host.jump)
        close = nearest(host.jump, list(profile.hosts)) if host.jump not in profile.hosts else ""
        if port is not None and not 1 <= int(port[1]) <= 65535:
            yield ProfileProblem("out-of-range", "not a port", path, "a port from 1 to 65535")
        elif _jumps_in_a_circle(profile, name):
            yield ProfileProblem(
                "circular-jump", f"the way to {shown(name)} leads through itself", path
            )
        elif host.jump not in profile.hosts and re.fullmatch(r"[A-Za-z0-9-]+", host.jump) and close:
            yield ProfileProblem(
                "unknown-host",
                f"no host of this profile is called {shown(host.jump)}",
                path,
                expected="a host of this profile, or [user@]host[:port]",
                help=did_you_mean(close),
                severity="warning",
            )


def _jumps_in_a_circle(profile: Profile, start: str) -> bool:
    seen = {start}
    jump = profile.hosts[start].jump
    while jump in profile.hosts:
        if jump in seen:
            return jump == start
        seen.add(jump)
        jump = profile.hosts[jump].jump
    return False


def ports(profile: Profile) -> Iterator[ProfileProblem]:
    """Two roles of one host cannot listen on one port."""
    for name, host in profile.hosts.items():
        taken = {profile.ssh_port(name): "SSH"}
        if "server" in host.roles:
            taken |= dict.fromkeys((profile.api_port, *_SERVER_PORTS), "the K3s server")
        if "agent" in host.roles:
            taken |= dict.fromkeys(_AGENT_PORTS, "the K3s agent") | {_KUBELET_PORT: "the kubelet"}
        for role, section, port in (
            ("datastore", "datastore", profile.datastore.port),
            ("loadbalancer", "loadbalancer", profile.loadbalancer.port),
        ):
            if role not in host.roles:
                continue
            if port in taken:
                yield ProfileProblem(
                    "port-conflict",
                    f"on {shown(name)} the {role} cannot listen on port {port}: {taken[port]} does",
                    (section, "port"),
                    help=f"choose another port, or another host for the {role}",
                )
            taken.setdefault(port, f"the {role}")


def labels(profile: Profile) -> Iterator[ProfileProblem]:
    """Labels that the kubelet refuses to set on its own node, at the price of not starting."""
    for name, host in profile.hosts.items():
        for label in host.labels:
            prefix, slash, _ = label.partition("/")
            official = re.search(r"(^|\.)(kubernetes|k8s)\.io$", prefix) if slash else None
            allowed = re.search(r"(^|\.)(node|kubelet)\.kubernetes\.io$", prefix)
            if official and not allowed and label not in _KUBELET_MAY_SET:
                yield ProfileProblem(
                    "reserved-label",
                    f"a node may not give itself the label {shown(label)}",
                    ("hosts", name, "labels", label),
                    help="use a prefix of your own, or set it with kubectl label node",
                    at="key",
                )


def lifetimes(profile: Profile) -> Iterator[ProfileProblem]:
    pki = profile.pki
    if not profile.signs:
        return
    if profile.has_authority and pki.ca_days <= pki.leaf_days:
        yield ProfileProblem(
            "ca-too-short",
            f"the CA would end ({pki.ca_days} days) before its certificates ({pki.leaf_days})",
            ("pki", "ca-days"),
        )
    if pki.renewal_window >= pki.leaf_days:
        yield ProfileProblem(
            "renewed-at-once",
            f"a certificate of {pki.leaf_days} days would be renewed in every run",
            ("pki", "renew-days"),
            expected=f"less than {pki.leaf_days}",
        )


def registration_address(profile: Profile) -> Iterator[ProfileProblem]:
    address = profile.loadbalancer.address
    if ip(address) is None or profile.loadbalancer.mode != "managed":
        return
    hosts = profile.with_role("loadbalancer")
    own = {_same(a) for host in hosts.values() for a in (host.address, *host.cluster_addresses)}
    if hosts and _same(address) not in own:
        yield ProfileProblem(
            "foreign-registration-address",
            f"{shown(address)} is not an address of the load balancer {shown(next(iter(hosts)))}",
            ("loadbalancer", "address"),
            help="fine when it is a virtual address that leads there",
            severity="warning",
        )


def distinct_secrets(profile: Profile) -> Iterator[ProfileProblem]:
    first: dict[str, str] = {}
    for place, reference in profile.secret_refs.items():
        text = str(reference)
        if reference.scheme != "prompt" and text in first:
            yield ProfileProblem(
                "shared-secret",
                f"{place} and {first[text]} are one secret ({text})",
                tuple(place.split(".")),
                help="each needs a value, and so a reference, of its own",
            )
        first.setdefault(text, place)


def k3s_version(profile: Profile) -> Iterator[ProfileProblem]:
    parts = re.match(r"v(\d+)\.(\d+)\.", profile.k3s.version)
    if parts and (int(parts[1]), int(parts[2])) < OLDEST_K3S:
        yield ProfileProblem(
            "old-k3s",
            f"K3s {profile.k3s.version} is too old",
            ("k3s", "version"),
            expected="v{}.{} or newer".format(*OLDEST_K3S),
        )


def install_source(profile: Profile) -> Iterator[ProfileProblem]:
    """A mirror has an address, and a bundle a folder."""
    install = profile.install
    for source, key, value, example in (
        ("mirror", "mirror", install.mirror, 'mirror = "https://mirror.example.org/k3s"'),
        ("airgap", "bundle", install.bundle, 'bundle = "k3s-bundle"'),
    ):
        if install.source == source and value is None:
            yield ProfileProblem(
                "missing-key",
                f'install: source = "{source}" needs "{key}"',
                ("install", key),
                help=f"add {example}",
            )
        elif install.source != source and value is not None:
            yield ProfileProblem(
                "needless-setting",
                f'install: "{key}" means nothing with source = "{install.source}"',
                ("install", key),
                help=f'leave {key} out, or set source = "{source}"',
            )


def _same(address: str) -> str:
    """One spelling for each address."""
    return canonical(address.lower())


_RULES: tuple[Callable[[Profile], Iterator[ProfileProblem]], ...] = (
    role_counts,
    external_loadbalancer,
    roles_fit_together,
    names,
    addresses,
    jumps,
    ports,
    labels,
    lifetimes,
    registration_address,
    distinct_secrets,
    k3s_version,
    install_source,
    check_options,
    check_networks,
)
