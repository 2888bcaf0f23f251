"""Before anything is touched: can each host become what the profile wants of it?

Every rule is a function of the site and one host's name.  It passes (None), warns or stops, and
says what to do.  All rules are told at once; one stop refuses the whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeAlias

from k3s_tui.core.contract import Hands, Probe, Problem, Step
from k3s_tui.core.errors import Refused
from k3s_tui.engine.plan import Plan
from k3s_tui.families import Role
from k3s_tui.hosts.facts import Facts
from k3s_tui.hosts.listeners import Listener
from k3s_tui.procedure import adoption
from k3s_tui.procedure.clocks import clock
from k3s_tui.procedure.embedded import founder
from k3s_tui.procedure.networks import lasting_addresses, routes, same_families
from k3s_tui.procedure.site import Site, host
from k3s_tui.procedure.versions import (
    ARCHITECTURES,
    FIRST_WITHOUT_CGROUP_V1,
    LAST_FOR_S390X,
    Version,
)
from k3s_tui.resources.k3s.version import same_release

Rule: TypeAlias = Callable[[Site, str], Problem | None]

MIB = 1024
"""KiB."""

SERVER_MEMORY_KIB = 1700 * MIB
AGENT_MEMORY_KIB = 400 * MIB
"""K3s asks for 2 GB and 512 MB; firmware and kernel keep some of what a machine is sold with."""

DISK_KIB = {"/var/lib": 10 * 1024 * MIB, "/tmp": 256 * MIB}
"""Where images, databases and logs grow, and where little does."""


@dataclass(frozen=True)
class Judged:
    """A check whose verdict is known from the facts; nobody has to ask the host again."""

    verdict: Problem | None

    def probe(self) -> Probe[str]:
        async def ask(_: Hands) -> bytes:
            return b""

        return Probe(ask, lambda _: "looked at")

    def diff(self, now: str) -> Problem | None:
        return self.verdict


def steps(site: Site) -> tuple[Step[Any], ...]:
    """One step per rule and host.

    Raises ExceptionGroup of Refused, one for each stop on any host, when there is a host that the
    other chapters cannot even be written for.
    """
    verdicts = {
        (name, check): rule(site, name)
        for name in site.profile.hosts
        for check, rule in _rules_for(site, name)
    }
    if not all(_plannable(site, name) for name in site.profile.hosts):
        raise ExceptionGroup(
            "hosts that cannot be planned for",
            [
                Refused(verdict.text, hint=verdict.hint, host=name)
                for (name, _), verdict in verdicts.items()
                if verdict is not None and not verdict.warning
            ],
        )
    return tuple(
        Step(f"{name}/preflight/{check}", host(name), Judged(verdict))
        for (name, check), verdict in verdicts.items()
    )


def wants_restart(plan: Plan) -> bool:
    """Whether it waits for somebody to allow that sessions of others end."""
    return any(
        item.verdict == "problem" and item.step.id.endswith(f"/preflight/{_RESTART}")
        for item in plan.items.values()
    )


def _plannable(site: Site, name: str) -> bool:
    """Whether commands, packages, addresses and artifacts for it can be named at all."""
    roles = set(site.profile.hosts[name].roles)
    try:
        site.family(name).packages_for(*(_PACKAGES[role] for role in roles if role in _PACKAGES))
        site.address(name)
    except Refused:
        return False
    return not roles & _K3S or site.facts[name].arch in ARCHITECTURES


def _rules_for(site: Site, name: str) -> Iterator[tuple[str, Rule]]:
    roles = set(site.profile.hosts[name].roles)
    for check, wanted, rule in RULES:
        if not wanted or wanted & roles:
            yield check, rule


def stop(text: str, fix: str) -> Problem:
    return Problem(text, fix)


def warn(text: str, fix: str) -> Problem:
    return Problem(text, fix, warning=True)


def distribution(site: Site, name: str) -> Problem | None:
    facts = site.facts[name]
    try:
        family = site.family(name)
    except Refused as refused:
        return stop(refused.text, refused.hint)
    if facts.init != "systemd":
        return stop(
            f"its init is {facts.init or 'not known'}, not systemd",
            "k3s-tui manages services with systemd only; use a host that has it",
        )
    if family.name != "Debian":
        called = facts.os_name or facts.os_id
        return warn(
            f"{called} is supported from its documentation, and not tested yet",
            "look at the plan with care",
        )
    return None


def address(site: Site, name: str) -> Problem | None:
    """What is bound to, or registered with, an address that is not the host's never starts."""
    try:
        wanted = site.addresses(name)
    except Refused as refused:
        return stop(refused.text, refused.hint)
    own = {ip_address(address) for _, address in site.facts[name].addresses}
    foreign = [address for address in wanted if ip_address(address) not in own]
    if not own or not foreign:
        return None
    others = ", ".join(str(a) for a in sorted(own, key=str) if not a.is_loopback) or "none"
    return stop(
        f"{foreign[0]}, where the other hosts are to reach it, is not an address of its own",
        f"set node-ip in [hosts.{name}] to one of its own: {others}",
    )


def cloud_init(site: Site, name: str) -> Problem | None:
    facts = site.facts[name]
    is_server = "server" in site.profile.hosts[name].roles
    hosts_entry = is_server and site.has_hosts_entry
    if facts.cloud_init_manages_hosts and hosts_entry:
        return stop(
            "cloud-init writes /etc/hosts anew at every boot, and would drop the datastore's name",
            "set `manage_etc_hosts: false` in a file below /etc/cloud/cloud.cfg.d, "
            'or give the name in DNS and set hosts-entry = "never"',
        )
    if facts.cloud_init_running:
        return stop("cloud-init is still setting it up", "wait for `cloud-init status --wait`")
    return None


def architecture(site: Site, name: str) -> Problem | None:
    arch = ARCHITECTURES.get(site.facts[name].arch)
    version = site.profile.k3s.version
    if arch == "s390x" and Version.parse(version) > LAST_FOR_S390X:
        return stop(
            f"K3s {version} has no build for s390x; the last one was v1.28.4+k3s1",
            "pin that version (it gets no more fixes), or use a host of another architecture; "
            "datastore and load balancer may stay on s390x",
        )
    if arch is None:
        return stop(
            f"K3s has no build for {site.facts[name].arch}",
            f"architectures with one: {', '.join(sorted(set(ARCHITECTURES.values())))}",
        )
    return None


def memory(site: Site, name: str) -> Problem | None:
    has = site.facts[name].memory_kib
    if has is None:
        return warn("it does not say how much memory it has", "look at /proc/meminfo")
    is_server = "server" in site.profile.hosts[name].roles
    least, asked = (
        (SERVER_MEMORY_KIB, "2 GB for a server")
        if is_server
        else (AGENT_MEMORY_KIB, "512 MB for an agent")
    )
    if has < least:
        return stop(f"it has {has // MIB} MiB of memory; K3s needs {asked}", "give it more memory")
    return None


def processors(site: Site, name: str) -> Problem | None:
    has = site.facts[name].cpus
    if "server" in site.profile.hosts[name].roles and has is not None and has < 2:
        return warn(f"it has {has} CPU; K3s asks for 2 on a server", "give it another one")
    return None


def disk(site: Site, name: str) -> Problem | None:
    for path, free in sorted(site.facts[name].disk_free_kib.items()):
        wanted = DISK_KIB.get(path, 0)
        if free < wanted:
            return warn(
                f"{path} has {free // MIB} MiB free", f"{wanted // MIB} MiB is a good start"
            )
    return None


def cgroups(site: Site, name: str) -> Problem | None:
    facts = site.facts[name]
    version = site.profile.k3s.version
    if facts.cgroup in ("v1", "hybrid") and Version.parse(version) >= FIRST_WITHOUT_CGROUP_V1:
        return stop(
            f"it uses cgroup {facts.cgroup}; the kubelet of K3s {version} starts on v2 only",
            "boot it with systemd.unified_cgroup_hierarchy=1, or pin a K3s below v1.35",
        )
    missing = {"cpu", "memory", "pids"} - set(facts.cgroup_controllers)
    if missing:
        return stop(
            f"it lacks the cgroup controllers {', '.join(sorted(missing))}",
            "on a Raspberry Pi: cgroup_memory=1 cgroup_enable=memory on the kernel's command line",
        )
    return None


def kernel_modules(site: Site, name: str) -> Problem | None:
    missing = site.facts[name].modules_missing
    if missing:
        return warn(
            f"kernel modules that cannot be loaded: {', '.join(missing)}",
            "pods need them; install the kernel's extra modules, or reboot after a kernel update",
        )
    return None


def default_route(site: Site, name: str) -> Problem | None:
    if site.facts[name].default_route:
        return None
    return stop("it has no default route, without which K3s does not start", "add one")


def mandatory_access_control(site: Site, name: str) -> Problem | None:
    if site.facts[name].selinux == "enforcing":
        return warn(
            "SELinux is enforcing",
            "install the k3s-selinux policy before this run, and allow nginx its port",
        )
    return None


def firewall(site: Site, name: str) -> Problem | None:
    active = site.facts[name].firewalls
    if active:
        return warn(
            f"a firewall is active: {', '.join(active)}",
            "open 5432/tcp to the datastore, 6443/tcp to servers and load balancer, and between "
            "nodes 8472/udp and 10250/tcp; k3s-tui opens nothing",
        )
    return None


def existing_k3s(site: Site, name: str) -> Problem | None:
    facts = site.facts[name]
    roles = set(site.profile.hosts[name].roles)
    if not roles & _K3S:
        return _left_behind(site, name)
    wanted = "server" if "server" in roles else "agent"
    if facts.k3s_role is not None and facts.k3s_role != wanted:
        return stop(
            f"it runs K3s as {facts.k3s_role}, and the profile makes it a K3s {wanted}",
            "uninstall that one first, or change the roles",
        )
    version = site.profile.k3s.version
    if facts.k3s_version and not same_release(facts.k3s_version, version):
        return stop(
            f"it has K3s {facts.k3s_version}, and the profile pins {version}",
            "k3s-tui does not upgrade clusters yet: pin the version that is installed",
        )
    return None


def _left_behind(site: Site, name: str) -> Problem | None:
    """A node that goes on, while nobody knows it any more, is cut off from the datastore.

    K3s of others, where none of ours is wanted, is their affair.
    """
    role = site.facts[name].k3s_role
    if role is None or not site.is_ours(name):
        return None
    script = "k3s-uninstall.sh" if role == "server" else "k3s-agent-uninstall.sh"
    return stop(
        f"it runs K3s as {role}, and the profile does not make it a server or an agent any more",
        f"give it back the role {role}; to take it out of the cluster, `kubectl drain` it, `kubectl"
        f" delete node` it, and run {script} on it; then run again",
    )


def _port(port: int, site: Site, name: str, owner: str = "") -> Problem | None:
    """Whether a port is free, or taken by what belongs there anyway."""
    for listener in site.facts[name].listening:
        if listener.port != port or (owner and listener.process.startswith(owner)):
            continue
        if not listener.process and owner and _is_there(site.facts[name], owner):
            # Without `ss` nobody is named.  What belongs there is installed: likely it is that.
            return warn(
                f"port {port} is taken, by {owner} or by another process: it names none",
                f"install iproute2, then look at `ss -ltnp sport = :{port}`",
            )
        return stop(f"port {port} is taken by {_who(listener)}", "stop that service, or move it")
    return None


def _who(listener: Listener) -> str:
    pid = f" (pid {listener.pids[0]})" if listener.pids else ""
    return f"{listener.process or 'a process that it does not name'}{pid}"


def _is_there(facts: Facts, owner: str) -> bool:
    return facts.postgres_version is not None if owner == "postgres" else owner in facts.commands


def datastore_port(site: Site, name: str) -> Problem | None:
    return _port(site.profile.datastore.port, site, name, "postgres")


def adopted(site: Site, name: str) -> Problem | None:
    if site.profile.datastore.cluster == "own" and not site.family(name).postgres.second:
        return stop(
            "k3s-tui makes a second PostgreSQL cluster on Debian and its descendants only",
            "name another host as the datastore, or make one by hand and use it with"
            ' mode = "existing"',
        )
    given = site.database_files.ca_pem
    return adoption.objection(site.profile, site.adoption, given, _second(site, name))


def restart(site: Site, name: str) -> Problem | None:
    addresses, second = site.addresses(name), _second(site, name)
    return adoption.restart(site.adoption, addresses, site.allow_restart, second)


def _second(site: Site, name: str) -> bool:
    """Whether K3s could have a cluster beside this one."""
    own = site.profile.datastore.cluster == "own"
    return not own and bool(site.family(name).postgres.second)


def balancer_port(site: Site, name: str) -> Problem | None:
    """Theirs may serve what it likes, on other ports: ours runs beside it."""
    port, facts = site.profile.loadbalancer.port, site.facts[name]
    for listener in facts.listening:
        if (
            listener.port == port
            and listener.process.startswith("nginx")
            and facts.balancer_pid not in listener.pids
        ):
            return stop(
                f"port {port} is taken by {_who(listener)}, which is not the load balancer of"
                " k3s-tui",
                f"take port {port} out of its configuration and reload it, or set another port in"
                " [loadbalancer]",
            )
    return _port(port, site, name, "nginx")


def k3s_ports(site: Site, name: str) -> Problem | None:
    if site.facts[name].k3s_role is not None:
        return None  # K3s is here and holds them itself
    ports = [6444, 10248, 10249, 10250, 10256]
    if "server" in site.profile.hosts[name].roles:
        ports = [site.api_port, *ports, 10257, 10258, 10259]
        if site.profile.datastore.mode == "embedded":
            ports += ETCD_PORTS
    for port in ports:
        problem = _port(port, site, name)
        if problem:
            return problem
    return None


def identity(site: Site, name: str) -> Problem | None:
    """Clones share their machine-id; K3s does not mind, DHCP and journals do."""
    own = site.facts[name].machine_id
    twins = [n for n, f in site.facts.items() if n != name and own and f.machine_id == own]
    if twins:
        return warn(
            f"it has the same machine-id as {', '.join(twins)}",
            "rm /etc/machine-id && systemd-machine-id-setup, then reboot",
        )
    return None


ETCD_PORTS = [2379, 2380, 2381, 2382]
"""For clients, for the other members, and for figures; the last one answers on loopback only."""

_RESTART = "restart"
_K3S = frozenset({"server", "agent"})
_ALL: frozenset[str] = frozenset()
_PACKAGES: dict[str, Role] = {"datastore": "postgresql", "loadbalancer": "nginx"}

RULES: tuple[tuple[str, frozenset[str], Rule], ...] = (
    ("distribution", _ALL, distribution),
    ("clock", _ALL, clock),
    ("identity", _ALL, identity),
    ("disk", _ALL, disk),
    ("firewall", _ALL, firewall),
    ("access-control", _ALL, mandatory_access_control),
    ("cloud-init", _ALL, cloud_init),
    ("address", _K3S | {"datastore"}, address),
    ("address-families", _K3S, same_families),
    ("routes", _K3S | {"loadbalancer"}, routes),
    ("lasting-addresses", frozenset({"server"}), lasting_addresses),
    ("architecture", _K3S, architecture),
    ("memory", _K3S, memory),
    ("processors", _K3S, processors),
    ("cgroups", _K3S, cgroups),
    ("kernel-modules", _K3S, kernel_modules),
    ("default-route", _K3S, default_route),
    ("existing-k3s", _ALL, existing_k3s),
    ("ports", _K3S, k3s_ports),
    ("founder", frozenset({"server"}), founder),
    ("datastore-port", frozenset({"datastore"}), datastore_port),
    ("adoption", frozenset({"datastore"}), adopted),
    (_RESTART, frozenset({"datastore"}), restart),
    ("loadbalancer-port", frozenset({"loadbalancer"}), balancer_port),
)
"""Check, roles it concerns (all when empty), rule."""
