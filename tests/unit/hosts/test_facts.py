"""Canned answers of various systems, parsed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k3s_tui.hosts.facts import Facts, parse, skew
from k3s_tui.hosts.listeners import Listener

DEBIAN = rb"""now 1767225600
os PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
os VERSION_ID="12"
os ID=debian
arch x86_64
machine-id 0123456789abcdef0123456789abcdef
init systemd
cpus 2
meminfo MemTotal:        4024684 kB
cgroup v2
controllers cpuset cpu io memory hugetlb pids rdma misc
address 1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
address 2: ens3    inet 10.161.129.54/24 brd 10.161.129.255 scope global ens3\       valid_lft
address 2: ens3    inet6 fe80::fc:ff:fe00:1/64 scope link \       valid_lft forever
default-route yes
ss State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess
ss LISTEN 0      244        127.0.0.1:5432      0.0.0.0:*    users:(("postgres",pid=612,fd=6))
ss LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=511,fd=3))
ss LISTEN 0      128             [::]:22           [::]:*    users:(("sshd",pid=511,fd=4))
ss LISTEN 0      4096   127.0.0.53%lo:53        0.0.0.0:*    users:(("systemd-resolve",pid=3,fd=1))
ss LISTEN 0      511                *:6443             *:*  users:(("nginx: x",pid=9),("n",pid=8))
route 10.161.129.212 10.161.129.212 dev ens3 src 10.161.129.54 uid 0 cache
route 10.9.9.9
disk 18290032 /var/lib/rancher
disk 900 /mnt/my disk
firewalld inactive
k3s k3s version v1.36.3+k3s1 (0a1b2c3d)
k3s go version go1.25.1
k3s-unit k3s
leftover /etc/rancher/k3s
leftover /var/lib/rancher/k3s/server
postgres 150008
balancer-pid 9
command apt-get
command curl
command nginx
command nginx
"""

ALPINE = rb"""now 1767225600
os ID=alpine
os VERSION_ID=3.22.1
os PRETTY_NAME="Alpine Linux v3.22"
arch aarch64
init openrc
cgroup v1
controllers cpu
controllers memory
netstat Active Internet connections (only servers)
netstat Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID
netstat tcp        0      0 0.0.0.0:22         0.0.0.0:*          LISTEN      2/sshd: /usr/sbin/s
netstat tcp        0      0 :::80                   :::*                    LISTEN      -
module-missing br_netfilter
module-missing vxlan
k3s-unit k3s-agent
"""

ROCKY = rb"""os ID="rocky"
os ID_LIKE="rhel centos fedora"
os VERSION_ID="9.4"
selinux Enforcing
firewalld active
cgroup hybrid
manage-hosts manage_etc_hosts: "localhost"  # from the cloud
cloud-init running
"""

UBUNTU = rb"""ufw ENABLED=yes
manage-hosts   manage_etc_hosts: false
selinux 0
"""

PROCNET = rb"""procnet   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt
procnet    0: 00000000:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
procnet    1: 0100007F:0016 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0
procnet    2: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0
"""


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (
            DEBIAN,
            {
                "os_id": "debian",
                "os_name": "Debian GNU/Linux 12 (bookworm)",
                "arch": "x86_64",
                "machine_id": "0123456789abcdef0123456789abcdef",
                "init": "systemd",
                "cpus": 2,
                "memory_kib": 4024684,
                "disk_free_kib": {"/var/lib/rancher": 18290032, "/mnt/my disk": 900},
                "cgroup": "v2",
                "cgroup_controllers": frozenset(
                    {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"}
                ),
                "addresses": (
                    ("lo", "127.0.0.1"),
                    ("ens3", "10.161.129.54"),
                    ("ens3", "fe80::fc:ff:fe00:1"),
                ),
                "default_route": True,
                "route_sources": {"10.161.129.212": "10.161.129.54", "10.9.9.9": None},
                "listening": (
                    Listener(5432, "127.0.0.1", "postgres", (612,)),
                    Listener(22, "0.0.0.0", "sshd", (511,)),
                    Listener(22, "::", "sshd", (511,)),
                    Listener(53, "127.0.0.53", "systemd-resolve", (3,)),
                    Listener(6443, "*", "nginx: x", (9, 8)),
                ),
                "now": 1767225600,
                "k3s_version": "v1.36.3+k3s1",
                "k3s_role": "server",
                "k3s_leftovers": ("/etc/rancher/k3s", "/var/lib/rancher/k3s/server"),
                "postgres_version": 150008,
                "balancer_pid": 9,
                "commands": frozenset({"apt-get", "curl", "nginx"}),
            },
        ),
        (
            ALPINE,
            {
                "os_id": "alpine",
                "os_name": "Alpine Linux v3.22",
                "arch": "aarch64",
                "init": "openrc",
                "cgroup": "v1",
                "cgroup_controllers": frozenset({"cpu", "memory"}),
                "listening": (
                    Listener(22, "0.0.0.0", "sshd: /usr/sbin/s", (2,)),
                    Listener(80, "::", ""),
                ),
                "now": 1767225600,
                "modules_missing": ("br_netfilter", "vxlan"),
                "k3s_role": "agent",
            },
        ),
        (
            ROCKY,
            {
                "os_id": "rocky",
                "os_like": ("rhel", "centos", "fedora"),
                "cgroup": "hybrid",
                "selinux": "enforcing",
                "firewalls": ("firewalld",),
                "cloud_init_manages_hosts": True,
                "cloud_init_running": True,
            },
        ),
        (
            UBUNTU,
            {"firewalls": ("ufw",), "selinux": "permissive"},
        ),
        (
            PROCNET,
            {"listening": (Listener(5432, "0.0.0.0"), Listener(22, "::1"))},
        ),
        (b"arch s390x\nmeminfo MemTotal: 498176 kB\n", {"arch": "s390x", "memory_kib": 498176}),
        (b"selinux Disabled\n", {"selinux": "disabled"}),
        (b"k3s-unit k3s-agent\nk3s-unit k3s\n", {"k3s_role": "server"}),
        (b"", {}),
        (b"now soon\ncpus many\ndisk x /\npostgres could not connect\nroute \n", {}),
        (b"arch evil\x1b]0;x\x07\xff\n", {"arch": "evil\\x1b]0;x\\x07\ufffd"}),
    ],
)
def test_answers(out: bytes, expected: dict[str, Any]) -> None:
    facts = parse(out)
    found = {
        field.name: getattr(facts, field.name)
        for field in fields(Facts)
        if getattr(facts, field.name) != getattr(Facts(), field.name)
    }
    assert found == expected


def test_nginx_is_known_by_its_command() -> None:
    assert parse(DEBIAN).nginx_installed
    assert not parse(ALPINE).nginx_installed


@given(st.binary() | st.lists(st.sampled_from(DEBIAN.split())).map(b" ".join))
def test_no_answer_is_a_crash(out: bytes) -> None:
    parse(out)
    parse(b"\n".join(out.split()))
    for line in DEBIAN.splitlines():
        parse(line.split()[0] + b" " + out)


@pytest.mark.parametrize(
    ("t0", "t1", "now", "expected"),
    [
        (100.0, 101.0, 100, (0.0, 1.0)),
        (100.0, 100.2, 160, (60.4, 0.6)),
        (100.0, 104.0, 60, (-41.5, 2.5)),
        (100.0, 101.0, None, None),
    ],
)
def test_skew(t0: float, t1: float, now: int | None, expected: tuple[float, float] | None) -> None:
    found = skew(t0, t1, Facts(now=now))
    assert found == (pytest.approx(expected) if expected else None)
