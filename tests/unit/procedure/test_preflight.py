"""Every rule of the preflight: facts and profile in, pass, warning or stop out."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import pytest

from k3s_tui.core.contract import Problem, Step
from k3s_tui.core.errors import Refused
from k3s_tui.hosts.listeners import Listener
from k3s_tui.procedure import preflight
from k3s_tui.procedure.site import Site
from k3s_tui.profile.model import HostEntry, Profile
from k3s_tui.resources.k3s.service import MARK
from k3s_tui.resources.postgres.cluster import Cluster, ClusterState, SupportedVersion
from k3s_tui.resources.postgres.psql import Psql
from tests.unit.procedure.sites import GIB, HOW_TO, changed, site, with_host, with_node_ip

Verdict: TypeAlias = Literal["pass", "warn", "stop"]
MIB = 1024


def problem(site: Site, step: str) -> Problem | None:
    """What the step of that id says of its host."""
    (found,) = (s for s in preflight.steps(site) if s.id == step)
    return judged(found)


def judged(step: Step[Any]) -> Problem | None:
    assert isinstance(step.ensure, preflight.Judged)
    return step.ensure.diff("looked at")


def verdict(found: Problem | None) -> Verdict:
    if found is None:
        return "pass"
    return "warn" if found.warning else "stop"


def pinned(version: str) -> Profile:
    return changed(k3s={"version": version})


def test_hosts_that_have_everything_pass() -> None:
    said = {step.id: judged(step) for step in preflight.steps(site())}
    assert len(said) > 50
    assert not {step: found for step, found in said.items() if found is not None}


SERVER, AGENT, DATASTORE, BALANCER = "k3s-server-1", "k3s-agent", "postgres", "nginx"

OURS: dict[str, Any] = {"marks": frozenset({MARK}), "k3s_version": "v1.36.3+k3s1"}
"""K3s that k3s-tui installed."""

CASES: dict[str, tuple[Profile, str, dict[str, Any], Verdict, str, str]] = {
    # profile, step, facts that differ, verdict, part of the text, part of the fix
    "s390x with a build": (
        pinned("v1.28.4+k3s1"),
        f"{SERVER}/preflight/architecture",
        {"arch": "s390x"},
        "pass",
        "",
        "",
    ),
    "s390x, one release later": (
        pinned("v1.28.5+k3s1"),
        f"{SERVER}/preflight/architecture",
        {"arch": "s390x"},
        "stop",
        "K3s v1.28.5+k3s1 has no build for s390x; the last one was v1.28.4+k3s1",
        "pin that version",
    ),
    "s390x today": (
        pinned("v1.36.3+k3s1"),
        f"{AGENT}/preflight/architecture",
        {"arch": "s390x"},
        "stop",
        "no build for s390x",
        "datastore and load balancer may stay on s390x",
    ),
    "arm64": (HOW_TO, f"{AGENT}/preflight/architecture", {"arch": "aarch64"}, "pass", "", ""),
    "32-bit arm": (HOW_TO, f"{AGENT}/preflight/architecture", {"arch": "armv7l"}, "pass", "", ""),
    "cgroup v1, last K3s for it": (
        pinned("v1.34.9+k3s1"),
        f"{SERVER}/preflight/cgroups",
        {"cgroup": "v1"},
        "pass",
        "",
        "",
    ),
    "cgroup v1, candidate of the first without it": (
        pinned("v1.35.0-rc1+k3s1"),
        f"{SERVER}/preflight/cgroups",
        {"cgroup": "v1"},
        "stop",
        "it uses cgroup v1; the kubelet of K3s v1.35.0-rc1+k3s1 starts on v2 only",
        "systemd.unified_cgroup_hierarchy=1",
    ),
    "cgroup v1, first without it": (
        pinned("v1.35.0+k3s1"),
        f"{AGENT}/preflight/cgroups",
        {"cgroup": "v1"},
        "stop",
        "cgroup v1",
        "pin a K3s below v1.35",
    ),
    "cgroup hybrid counts as v1": (
        pinned("v1.35.0+k3s1"),
        f"{AGENT}/preflight/cgroups",
        {"cgroup": "hybrid"},
        "stop",
        "cgroup hybrid",
        "",
    ),
    "cgroup controllers missing": (
        HOW_TO,
        f"{AGENT}/preflight/cgroups",
        {"cgroup_controllers": frozenset({"cpu", "io"})},
        "stop",
        "it lacks the cgroup controllers memory, pids",
        "cgroup_enable=memory",
    ),
    "memory just enough for a server": (
        HOW_TO,
        f"{SERVER}/preflight/memory",
        {"memory_kib": 1700 * MIB},
        "pass",
        "",
        "",
    ),
    "memory just too little for a server": (
        HOW_TO,
        f"{SERVER}/preflight/memory",
        {"memory_kib": 1700 * MIB - 1},
        "stop",
        "it has 1699 MiB of memory; K3s needs 2 GB for a server",
        "give it more memory",
    ),
    "memory just enough for an agent": (
        HOW_TO,
        f"{AGENT}/preflight/memory",
        {"memory_kib": 400 * MIB},
        "pass",
        "",
        "",
    ),
    "memory just too little for an agent": (
        HOW_TO,
        f"{AGENT}/preflight/memory",
        {"memory_kib": 400 * MIB - 1},
        "stop",
        "K3s needs 512 MB for an agent",
        "",
    ),
    "memory not known": (
        HOW_TO,
        f"{AGENT}/preflight/memory",
        {"memory_kib": None},
        "warn",
        "how much memory",
        "/proc/meminfo",
    ),
    "one CPU on a server": (
        HOW_TO,
        f"{SERVER}/preflight/processors",
        {"cpus": 1},
        "warn",
        "it has 1 CPU",
        "",
    ),
    "one CPU on an agent": (HOW_TO, f"{AGENT}/preflight/processors", {"cpus": 1}, "pass", "", ""),
    "little disk": (
        HOW_TO,
        f"{SERVER}/preflight/disk",
        {"disk_free_kib": {"/var/lib": 10 * GIB - 1, "/tmp": 2 * GIB}},
        "warn",
        "/var/lib has 10239 MiB free",
        "10240 MiB",
    ),
    "a small /tmp is as it should be": (
        HOW_TO,
        f"{SERVER}/preflight/disk",
        {"disk_free_kib": {"/var/lib": 10 * GIB, "/tmp": 256 * MIB}},
        "pass",
        "",
        "",
    ),
    "cloud-init would drop the hosts entry": (
        HOW_TO,
        f"{SERVER}/preflight/cloud-init",
        {"cloud_init_manages_hosts": True},
        "stop",
        "cloud-init writes /etc/hosts anew at every boot",
        "manage_etc_hosts: false",
    ),
    "cloud-init, and no hosts entry of ours": (
        changed(datastore={"hosts_entry": "never"}),
        f"{SERVER}/preflight/cloud-init",
        {"cloud_init_manages_hosts": True},
        "pass",
        "",
        "",
    ),
    "cloud-init, on a host without an entry of ours": (
        HOW_TO,
        f"{AGENT}/preflight/cloud-init",
        {"cloud_init_manages_hosts": True},
        "pass",
        "",
        "",
    ),
    "cloud-init is not done yet": (
        HOW_TO,
        f"{DATASTORE}/preflight/cloud-init",
        {"cloud_init_running": True},
        "stop",
        "still setting it up",
        "cloud-init status --wait",
    ),
    "a relative of Debian": (
        HOW_TO,
        f"{SERVER}/preflight/distribution",
        {"os_id": "mint", "os_like": ("ubuntu", "debian")},
        "pass",
        "",
        "",
    ),
    "a family known from its documentation": (
        HOW_TO,
        f"{SERVER}/preflight/distribution",
        {"os_id": "rocky", "os_like": ("rhel", "fedora"), "os_name": "Rocky Linux 9"},
        "warn",
        "Rocky Linux 9",
        "look at the plan",
    ),
    "no systemd": (
        HOW_TO,
        f"{SERVER}/preflight/distribution",
        {"init": "openrc"},
        "stop",
        "its init is openrc, not systemd",
        "",
    ),
    "an unknown init": (
        HOW_TO,
        f"{BALANCER}/preflight/distribution",
        {"init": ""},
        "stop",
        "its init is not known",
        "",
    ),
    "the address is not the host's": (
        HOW_TO,
        f"{SERVER}/preflight/address",
        {"addresses": (("lo", "127.0.0.1"), ("eth0", "192.168.7.4"))},
        "stop",
        "10.161.129.54, where the other hosts are to reach it, is not an address of its own",
        "set node-ip in [hosts.k3s-server-1] to one of its own: 192.168.7.4",
    ),
    "behind NAT, with its node-ip": (
        with_node_ip(SERVER, "192.168.7.4"),
        f"{SERVER}/preflight/address",
        {"addresses": (("eth0", "192.168.7.4"),)},
        "pass",
        "",
        "",
    ),
    "addresses not known": (
        HOW_TO,
        f"{DATASTORE}/preflight/address",
        {"addresses": ()},
        "pass",
        "",
        "",
    ),
    "kernel modules": (
        HOW_TO,
        f"{AGENT}/preflight/kernel-modules",
        {"modules_missing": ("br_netfilter", "vxlan")},
        "warn",
        "br_netfilter, vxlan",
        "reboot after a kernel update",
    ),
    "no default route": (
        HOW_TO,
        f"{AGENT}/preflight/default-route",
        {"default_route": False},
        "stop",
        "no default route",
        "add one",
    ),
    "SELinux enforcing": (
        HOW_TO,
        f"{SERVER}/preflight/access-control",
        {"selinux": "enforcing"},
        "warn",
        "SELinux is enforcing",
        "k3s-selinux",
    ),
    "SELinux permissive": (
        HOW_TO,
        f"{SERVER}/preflight/access-control",
        {"selinux": "permissive"},
        "pass",
        "",
        "",
    ),
    "firewalls": (
        HOW_TO,
        f"{DATASTORE}/preflight/firewall",
        {"firewalls": ("firewalld", "ufw")},
        "warn",
        "a firewall is active: firewalld, ufw",
        "5432/tcp",
    ),
    "K3s of another role": (
        HOW_TO,
        f"{AGENT}/preflight/existing-k3s",
        {"k3s_role": "server", "k3s_version": "v1.36.3+k3s1"},
        "stop",
        "it runs K3s as server, and the profile makes it a K3s agent",
        "uninstall that one first",
    ),
    "K3s of another version": (
        HOW_TO,
        f"{SERVER}/preflight/existing-k3s",
        {"k3s_role": "server", "k3s_version": "v1.35.1+k3s1"},
        "stop",
        "it has K3s v1.35.1+k3s1, and the profile pins v1.36.3+k3s1",
        "pin the version that is installed",
    ),
    "K3s of a version that only begins alike": (
        HOW_TO,
        f"{SERVER}/preflight/existing-k3s",
        {"k3s_role": "server", "k3s_version": "v1.36.3+k3s12"},
        "stop",
        "v1.36.3+k3s12",
        "",
    ),
    "the K3s that is wanted": (
        HOW_TO,
        f"{SERVER}/preflight/existing-k3s",
        {"k3s_role": "server", "k3s_version": "v1.36.3+k3s1"},
        "pass",
        "",
        "",
    ),
    "the K3s that is wanted, of a build with a suffix": (
        HOW_TO,
        f"{SERVER}/preflight/existing-k3s",
        {"k3s_role": "server", "k3s_version": "v1.36.3+k3s1-dirty"},
        "pass",
        "",
        "",
    ),
    "a server that lost its role, beside another": (
        HOW_TO,
        f"{BALANCER}/preflight/existing-k3s",
        OURS | {"k3s_role": "server"},
        "stop",
        "it runs K3s as server, and the profile does not make it a server or an agent any more",
        "k3s-uninstall.sh on it; then run again",
    ),
    "an agent that lost its role, beside another": (
        HOW_TO,
        f"{DATASTORE}/preflight/existing-k3s",
        OURS | {"k3s_role": "agent"},
        "stop",
        "it runs K3s as agent",
        "give it back the role agent",
    ),
    "K3s of others beside the datastore": (
        HOW_TO,
        f"{DATASTORE}/preflight/existing-k3s",
        {"k3s_role": "agent", "k3s_version": "v1.20.1+k3s1"},
        "pass",
        "",
        "",
    ),
    "K3s that was uninstalled beside the datastore": (
        HOW_TO,
        f"{DATASTORE}/preflight/existing-k3s",
        OURS,
        "pass",
        "",
        "",
    ),
    "API port taken on a server": (
        HOW_TO,
        f"{SERVER}/preflight/ports",
        {"listening": (Listener(6443, "0.0.0.0", "haproxy", (812,)),)},
        "stop",
        "port 6443 is taken by haproxy (pid 812)",
        "stop that service, or move it",
    ),
    "API port elsewhere": (
        changed(k3s={"server_config": {"https-listen-port": 7443}}),
        f"{SERVER}/preflight/ports",
        {"listening": (Listener(7443, "::", "java", (4,)),)},
        "stop",
        "port 7443 is taken by java (pid 4)",
        "",
    ),
    "a server's port on an agent is free to use": (
        HOW_TO,
        f"{AGENT}/preflight/ports",
        {"listening": (Listener(6443, "0.0.0.0", "haproxy", (812,)),)},
        "pass",
        "",
        "",
    ),
    "kubelet's port taken on an agent": (
        HOW_TO,
        f"{AGENT}/preflight/ports",
        {"listening": (Listener(10250, "::", "kubelet", (99,)),)},
        "stop",
        "port 10250 is taken by kubelet (pid 99)",
        "",
    ),
    "K3s holds its ports itself": (
        HOW_TO,
        f"{SERVER}/preflight/ports",
        {
            "k3s_role": "server",
            "listening": (Listener(6443, "::", "k3s-server", (5,)),),
        },
        "pass",
        "",
        "",
    ),
    "PostgreSQL has its port": (
        HOW_TO,
        f"{DATASTORE}/preflight/datastore-port",
        {"listening": (Listener(5432, "127.0.0.1", "postgres", (700,)),)},
        "pass",
        "",
        "",
    ),
    "somebody else has PostgreSQL's port": (
        HOW_TO,
        f"{DATASTORE}/preflight/datastore-port",
        {"listening": (Listener(5432, "0.0.0.0", "docker-proxy", (701,)),)},
        "stop",
        "port 5432 is taken by docker-proxy (pid 701)",
        "",
    ),
    "nobody knows who has PostgreSQL's port": (
        HOW_TO,
        f"{DATASTORE}/preflight/datastore-port",
        {"listening": (Listener(5432, "0.0.0.0"),)},
        "stop",
        "port 5432 is taken by a process that it does not name",
        "",
    ),
    "PostgreSQL has its port, and the host names no processes": (
        HOW_TO,
        f"{DATASTORE}/preflight/datastore-port",
        {"listening": (Listener(5432, "0.0.0.0"),), "postgres_version": 150008},
        "warn",
        "it names none",
        "iproute2",
    ),
    "nginx has its port": (
        HOW_TO,
        f"{BALANCER}/preflight/loadbalancer-port",
        {"listening": (Listener(6443, "0.0.0.0", "nginx", (4, 3)),), "balancer_pid": 3},
        "pass",
        "",
        "",
    ),
    "an nginx of theirs has the load balancer's port": (
        HOW_TO,
        f"{BALANCER}/preflight/loadbalancer-port",
        {"listening": (Listener(6443, "0.0.0.0", "nginx", (4, 3)),), "balancer_pid": 5},
        "stop",
        "nginx (pid 4), which is not the load balancer",
        "take port 6443 out of its configuration",
    ),
    "an nginx of theirs has it, and there is no load balancer yet": (
        HOW_TO,
        f"{BALANCER}/preflight/loadbalancer-port",
        {"listening": (Listener(6443, "0.0.0.0", "nginx", (4, 3)),)},
        "stop",
        "nginx (pid 4), which is not the load balancer",
        "[loadbalancer]",
    ),
    "an nginx of theirs serves another port": (
        HOW_TO,
        f"{BALANCER}/preflight/loadbalancer-port",
        {"listening": (Listener(80, "0.0.0.0", "nginx", (4, 3)),)},
        "pass",
        "",
        "",
    ),
    "somebody else has the load balancer's port": (
        changed(loadbalancer={"port": 9443}),
        f"{BALANCER}/preflight/loadbalancer-port",
        {
            "listening": (
                Listener(9443, "0.0.0.0", "haproxy", (3,)),
                Listener(6443, "::", "x", (4,)),
            )
        },
        "stop",
        "port 9443 is taken by haproxy (pid 3)",
        "",
    ),
    "a clone": (
        HOW_TO,
        f"{AGENT}/preflight/identity",
        {"machine_id": "machine-id-of-postgres"},
        "warn",
        "the same machine-id as postgres",
        "systemd-machine-id-setup",
    ),
    "no machine-id at all": (
        HOW_TO,
        f"{AGENT}/preflight/identity",
        {"machine_id": ""},
        "pass",
        "",
        "",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_rules(case: str) -> None:
    profile, step, differences, expected, text, fix = CASES[case]
    found = problem(site(profile, facts={step.partition("/")[0]: differences}), step)
    assert verdict(found) == expected, found
    if found:
        assert text in found.text
        assert fix in found.hint
        assert found.hint, "every verdict says what to do"


def test_the_hosts_of_one_problem_are_the_only_ones_that_have_it() -> None:
    said = [
        step.id
        for step in preflight.steps(site(facts={SERVER: {"memory_kib": 1 * GIB}}))
        if judged(step)
    ]
    assert said == ["k3s-server-1/preflight/memory"]


# -- what cannot even be planned ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "text"),
    [
        (
            {AGENT: {"os_id": "void", "os_like": ()}},
            "k3s-agent: the distribution 'void' is not known",
        ),
        ({AGENT: {"arch": "riscv64"}}, "k3s-agent: K3s has no build for riscv64"),
        (
            {DATASTORE: {"os_id": "alpine", "init": "openrc"}},
            "postgres: its init is openrc, not systemd",
        ),
    ],
)
def test_all_stops_are_told_when_no_plan_can_be_made(
    differences: dict[str, dict[str, Any]], text: str
) -> None:
    """Together with those that a plan would have shown."""
    with pytest.raises(ExceptionGroup) as raised:
        preflight.steps(site(facts={BALANCER: {"init": "runit"}, **differences}))
    errors = raised.value.exceptions
    assert all(isinstance(error, Refused) and error.hint for error in errors)
    assert [str(error) for error in errors] == [text, "nginx: its init is runit, not systemd"]


def test_an_unknown_machine_may_be_a_load_balancer() -> None:
    assert preflight.steps(site(facts={BALANCER: {"arch": "riscv64"}}))


def test_a_host_that_is_named_and_says_no_address() -> None:
    named = with_host(AGENT, HostEntry(address="agent.example", roles=["agent"]))
    only_local = {"addresses": (("lo", "127.0.0.1"), ("eth0", "fe80::1")), "route_sources": {}}
    with pytest.raises(ExceptionGroup) as raised:
        preflight.steps(site(named, facts={AGENT: only_local}))
    (error,) = raised.value.exceptions
    assert isinstance(error, Refused)
    assert (error.host, error.exit) == (AGENT, 5)
    assert "node-ip in [hosts.k3s-agent]" in error.hint


# -- PostgreSQL -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ClusterState(), "pass"),
        (ClusterState(running=True, version=120022), "stop"),
        (ClusterState(running=True, version=130016), "pass"),
        (ClusterState(running=True, version=180000), "pass"),
        (ClusterState(on_disk="9.6"), "stop"),
        (ClusterState(on_disk="12"), "stop"),
        (ClusterState(on_disk="13"), "pass"),
    ],
)
def test_postgresql_that_is_there(state: ClusterState, expected: Verdict) -> None:
    found = SupportedVersion(Cluster(Psql())).diff(state)
    assert found is None or isinstance(found, Problem)
    assert verdict(found) == expected
    assert found is None or "older than 13" in found.text


def test_a_standby_is_told_before_anything_is_touched() -> None:
    state = ClusterState(running=True, version=150000, standby=True)
    found = SupportedVersion(Cluster(Psql())).diff(state)
    assert isinstance(found, Problem) and "is a standby" in found.text
