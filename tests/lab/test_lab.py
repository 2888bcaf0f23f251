"""The lab keeps its own promises: bare hosts, no way out, packages, downloads, DNS."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tomllib
from pathlib import Path

import pytest

from . import dns, paths, profile, releases
from .command import LabError
from .lab import Lab
from .topology import GATEWAY, HOSTS, PASSWORD_USER, RELEASE_NAMES, SUDO_PASSWORD, USER

_NAMES = [host.name for host in HOSTS]


@pytest.mark.parametrize("name", _NAMES)
def test_a_host_is_bare(bare_hosts: Lab, name: str) -> None:
    seen = bare_hosts.ssh(
        name,
        """
        uname -n; cat /etc/hostname; id -un; sudo -n id -un
        ls /var/lib/apt/lists | wc -l
        for tool in python3 python psql nginx k3s kubectl; do command -v $tool; done
        systemctl is-system-running
        grep -c 127.0.1.1 /etc/hosts
        ip -o -4 route show default
        """
        + ":",
    ).splitlines()
    assert seen[:7] == [name, name, USER, "root", "0", "running", "0"]
    assert seen[7].split()[:3] == ["default", "via", GATEWAY]


def test_hosts_differ_where_they_must(bare_hosts: Lab) -> None:
    machine_ids = {bare_hosts.host(name).sh("cat /etc/machine-id") for name in _NAMES}
    assert len(machine_ids) == len(set(bare_hosts.host_keys.values())) == len(_NAMES)


def test_sudo_of_the_other_user_asks(bare_hosts: Lab) -> None:
    with pytest.raises(LabError, match="password is required"):
        bare_hosts.ssh("nginx", "sudo -n true", user=PASSWORD_USER)
    script = f"echo {SUDO_PASSWORD} | sudo -S -p '' id -un"
    assert bare_hosts.ssh("nginx", script, user=PASSWORD_USER) == "root\n"
    assert bare_hosts.ssh("nginx", "id -un", user="root") == "root\n"


def test_nothing_leaves_the_lab(bare_hosts: Lab) -> None:
    outside = subprocess.run(
        ["ip", "route", "get", HOSTS[0].address], capture_output=True, check=False
    )
    assert outside.returncode != 0
    said = bare_hosts.ssh("nginx", "curl -sS -m 5 http://192.0.2.1/ 2>&1 || :")
    assert "Couldn't connect" in said or "No route to host" in said or "unreachable" in said


def test_packages_come_from_the_bridge(bare_hosts: Lab) -> None:
    before = paths.PACKAGES_LOG.read_text()
    bare_hosts.ssh(
        "nginx",
        """
        set -e
        sudo apt-get update -q
        sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -q libnginx-mod-stream logrotate
        sudo nginx -t
        """,
        within=120,
    )
    log = paths.PACKAGES_LOG.read_text().removeprefix(before)
    assert "/packages/./Packages 200" in log
    assert "libnginx-mod-stream" in log
    bare_hosts.fresh("nginx")
    assert bare_hosts.host("nginx").sh("command -v nginx || echo none") == "none\n"


def test_downloads_and_tampering(bare_hosts: Lab) -> None:
    version = releases.offered_version()
    base = f"https://github.com/k3s-io/k3s/releases/download/{version.replace('+', '%2B')}"
    fetch = f"curl -sSfL {base}/k3s -o k3s && curl -sSfL {base}/sha256sum-amd64.txt | sha256sum -c"
    assert bare_hosts.ssh("k3s-agent", fetch) == "k3s: OK\n"
    assert "404" in bare_hosts.ssh("k3s-agent", f"curl -sI {base}/other | head -1")
    assert bare_hosts.ssh("k3s-agent", "curl -sSf https://get.k3s.io").startswith("#!/bin/sh")
    log = paths.RELEASES_LOG.read_text()
    assert " GET get.k3s.io / 200 " in log and "GET github.com /k3s-io/k3s/releases" in log
    binary = paths.RELEASES / version / "k3s"
    kept = binary.read_bytes()
    try:
        binary.write_bytes(kept + b"tampered")
        with pytest.raises(LabError, match="did NOT match"):
            bare_hosts.ssh("k3s-agent", fetch)
    finally:
        binary.write_bytes(kept)


def test_power_off_keeps_the_files(bare_hosts: Lab) -> None:
    bare_hosts.host("nginx").sh("echo kept > /root/note")
    bare_hosts.power_off("nginx")
    assert bare_hosts.host("nginx").pid is None
    assert bare_hosts.is_up()
    bare_hosts.power_on("nginx")
    assert bare_hosts.host("nginx").sh("cat /root/note") == "kept\n"


def test_up_again_says_so(lab: Lab) -> None:
    assert lab.up() is False


def test_status(lab: Lab) -> None:
    assert [(host.name, bool(pid), ssh) for host, pid, ssh in lab.status()] == [
        (name, True, True) for name in _NAMES
    ]


def test_the_profile_is_the_example_with_the_ways_in(lab: Lab, tmp_path: Path) -> None:
    path = profile.write(tmp_path, lab)
    written = tomllib.loads(path.read_text())
    example = tomllib.loads(profile.EXAMPLE.read_text())
    assert written["ssh"]["user"] == USER and "sudo-password" not in written["ssh"]
    assert {name: host["address"] for name, host in written["hosts"].items()} == lab.addresses
    for changed in ("name", "ssh", "k3s"):
        del written[changed], example[changed]
    assert written == example
    lock = tomllib.loads((tmp_path / "lab.lock.toml").read_text())
    assert lock == {"host-keys": lab.host_keys}


def _question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)


def test_dns_knows_the_download_names_only() -> None:
    names = dict.fromkeys(RELEASE_NAMES, GATEWAY)
    address = dns.answer(_question("GitHub.com", 1), names)
    assert address[-4:] == bytes([10, 161, 129, 1]) and address[6:8] == b"\0\1"
    no_ipv6 = dns.answer(_question("github.com", 28), names)
    assert no_ipv6[3] & 15 == 0 and no_ipv6[6:8] == b"\0\0"
    unknown = dns.answer(_question("postgres.rancher.rke2", 1), names)
    assert unknown[3] & 15 == 3


def test_the_packages_that_the_lab_needs_are_listed(lab: Lab) -> None:
    listed = Path(__file__).with_name("packages.txt").read_text().split()
    assert listed == sorted(listed)
    for tool in (
        "debootstrap",
        "systemd-nspawn",
        "apt-ftparchive",
        "ip",
        "ssh-keygen",
        "nsenter",
        "curl",
    ):
        assert shutil.which(tool), f"{tool} is missing: apt-get install {' '.join(listed)}"
