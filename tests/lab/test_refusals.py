"""Bad input: each has its exit code and one message with what to do, and changes no host.

All of it meets bare hosts.  What a container cannot vary (memory, architecture, clock) is a command
that the real script of facts runs, shimmed on one host.
"""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w

from . import paths, profile, releases
from .containers import Container
from .lab import Lab
from .operators import Operators, edit, lock_file, refused
from .product import Done
from .topology import PASSWORD_USER

NOBODY = "10.161.129.99"
"""An address on the lab's bridge that no host has."""


@pytest.fixture(scope="module")
def operators(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operators:
    return Operators(bare_hosts, tmp_path_factory.mktemp("operators"))


def new_key(folder: Path, passphrase: str = "") -> Path:
    path = folder / "id_new"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
    return path


def private(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


# -- the profile ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "lab"', 'name = "lab', "TOML"),
        ("leaf-days", "leaf-day", "leaf-days"),
        ('["agent"]', '["worker"]', "agent"),
        ("10.161.129.154", "10.161.129.54", "k3s-server-1"),
        ('user = "k3s"', 'user = "K3s"', "lower"),
    ],
)
def test_a_wrong_profile_reaches_no_host(
    operators: Operators, old: str, new: str, says: str
) -> None:
    product = operators.another()
    edit(product, old, new)
    done = product.apply()
    assert done.status == 3, done
    assert says in done.err and "lab.toml:" in done.err and not done.events


# -- the way in -----------------------------------------------------------------------------------


def test_hosts_that_cannot_be_reached(operators: Operators, bare_hosts: Lab) -> None:
    """Nobody at the one's address; the other is switched off."""
    product = operators.another()
    edit(product, bare_hosts.addresses["k3s-agent"], NOBODY)
    bare_hosts.power_off("nginx")
    try:
        refused(product, 5, f"k3s-agent: there is no route to {NOBODY}:22", "nginx: ")
    finally:
        bare_hosts.power_on("nginx")


def test_a_wrong_user(operators: Operators) -> None:
    refused(operators.another(user="stranger"), 4, "'stranger'", "ssh-copy-id")


def test_a_key_that_the_hosts_do_not_know(operators: Operators, tmp_path: Path) -> None:
    product = operators.another()
    key = new_key(tmp_path)
    edit(product, str(product.lab.identity), str(key))
    refused(product, 4, "k3s-server-1", "nginx", "refused the login of 'ops'", str(key))


def test_an_encrypted_key_and_nobody_to_ask(operators: Operators, tmp_path: Path) -> None:
    product = operators.another()
    key = new_key(tmp_path, passphrase="not-given")
    edit(product, str(product.lab.identity), str(key))
    done = refused(product, 4, f"Passphrase of the SSH key {key}", f"ssh-add {key}")
    assert done.err.count("Passphrase of the SSH key") == 1, done


def sudo_log(host: Container) -> str:
    return host.sh("journalctl --sync; journalctl -o cat --no-pager _COMM=sudo")


def test_sudo_with_a_password(operators: Operators) -> None:
    product = operators.another(user=PASSWORD_USER, sudo_password="file:sudo-password")
    profile.write_sudo_password(product.folder)
    plan = product.plan()
    assert plan.status == 0, plan
    assert plan.of("planned", verdict="change")


def test_a_wrong_sudo_password_is_tried_once(operators: Operators, bare_hosts: Lab) -> None:
    product = operators.another(user=PASSWORD_USER, sudo_password="file:sudo-password")
    private(product.folder / "sudo-password", "not-this-one\n")
    before = {name: sudo_log(host) for name, host in bare_hosts.containers.items()}
    refused(product, 4, f"sudo refused the password of {PASSWORD_USER} (tried once)")
    for name, host in bare_hosts.containers.items():
        log = sudo_log(host).removeprefix(before[name])
        assert log.count("incorrect password attempt") == 1, log
        assert "1 incorrect password attempt" in log
        assert log.count("authentication failure") == 1, log
        assert "not-this-one" not in log


def test_no_sudo_password(operators: Operators) -> None:
    product = operators.another(user=PASSWORD_USER)
    refused(product, 4, f"sudo needs a password for {PASSWORD_USER}", "sudo-password")


def fingerprint(public_key: str) -> str:
    done = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=public_key.encode(), capture_output=True, check=True
    )
    return done.stdout.decode().split()[1]


def test_unknown_host_keys(operators: Operators, bare_hosts: Lab) -> None:
    product = operators.another(pin=False)
    fingerprints = [fingerprint(key) for key in bare_hosts.host_keys.values()]
    refused(product, 4, "--accept-host-key", *fingerprints)
    assert tomllib.loads(lock_file(product).read_text()) == {}
    accepted = product.plan("--accept-host-key")
    assert accepted.status == 0, accepted
    pinned = tomllib.loads(lock_file(product).read_text())
    assert pinned == {"host-keys": bare_hosts.host_keys}


def test_a_changed_host_key(operators: Operators, bare_hosts: Lab, tmp_path: Path) -> None:
    product = operators.another()
    other = " ".join(new_key(tmp_path).with_suffix(".pub").read_text().split()[:2])
    keys = bare_hosts.host_keys | {"postgres": other}
    lock_file(product).write_text(tomli_w.dumps({"host-keys": keys}))
    done = refused(
        product, 4, fingerprint(bare_hosts.host_keys["postgres"]), fingerprint(other), "lock file"
    )
    assert done.events[-1]["error"].startswith("postgres: "), done
    # Accepting what is unknown does not accept what has changed.
    again = product.apply("--accept-host-key")
    assert again.status == 4, again
    assert tomllib.loads(lock_file(product).read_text())["host-keys"] == keys


# -- what the hosts are ---------------------------------------------------------------------------


def shim(command: str, script: str) -> str:
    """sh that puts a command in front of the system's own."""
    return f"""
cat >/usr/local/bin/{command} <<'SHIM'
#!/bin/sh
{script}
SHIM
chmod 755 /usr/local/bin/{command}
"""


def listener(port: int) -> str:
    return f"""
systemd-run --quiet --unit=squatter systemd-socket-activate --listen={port} cat
tries=0
until ss -Hltn sport = :{port} | grep -q LISTEN; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1; sleep 0.1
done
"""


OLD_POSTGRES = """\
case $(cat) in
    *json_build_object*) echo /var/lib/postgresql/11/main
        echo '{"version": 110022, "config_file": "/etc/postgresql/11/main/postgresql.conf",
"hba_file": "/etc/postgresql/11/main/pg_hba.conf", "data_directory": "/var/lib/postgresql/11/main",
"ident_file": "/etc/postgresql/11/main/pg_ident.conf", "listen_addresses": "localhost",
"port": 5432, "standby": false}' | tr -d '\\n' ;;
    *) echo 110022 ;;
esac"""
"""A `psql` in front of a running PostgreSQL 11."""


@dataclass(frozen=True)
class Fault:
    """Something wrong on one host, the check that sees it, and what that must say."""

    host: str
    make: str
    step: str
    says: tuple[str, ...]


FAULTS = {
    "less memory than K3s needs": Fault(
        "k3s-server-1",
        shim("cat", '[ "$*" = /proc/meminfo ] || exec /bin/cat "$@"\necho "MemTotal: 1048576 kB"'),
        "memory",
        ("1024 MiB", "2 GB"),
    ),
    "a K3s of somebody else": Fault(
        "k3s-server-1",
        "mkdir -p /var/lib/rancher/k3s/server; echo theirs >/var/lib/rancher/k3s/server/token",
        "foreign-k3s",
        ("did not install", "/var/lib/rancher/k3s/server/token"),
    ),
    "a clock that is a minute ahead": Fault(
        "k3s-server-2",
        shim("date", '[ "$*" = +%s ] || exec /bin/date "$@"\necho $(($(/bin/date +%s) + 60))'),
        "clock",
        ("60 s ahead",),
    ),
    "cloud-init writes /etc/hosts": Fault(
        "k3s-server-2",
        shim("cloud-init", ":")
        + "mkdir -p /etc/cloud; echo 'manage_etc_hosts: true' >/etc/cloud/cloud.cfg",
        "cloud-init",
        ("/etc/hosts", "cloud-init"),
    ),
    "the API's port is taken": Fault(
        "k3s-server-2", listener(6443), "ports", ("6443", "systemd-socket", "pid")
    ),
    "an architecture without a build": Fault(
        "k3s-agent",
        shim("uname", '[ "$*" = -m ] || exec /bin/uname "$@"\necho s390x'),
        "architecture",
        ("s390x", "v1.28.4+k3s1"),
    ),
    "PostgreSQL 11": Fault(
        "postgres",
        "useradd --system postgres" + shim("psql", OLD_POSTGRES),
        "postgresql",
        ("PostgreSQL 11", "older than 13"),
    ),
    "the database's port is taken": Fault(
        "postgres", listener(5432), "datastore-port", ("5432", "systemd-socket", "pid")
    ),
    "the load balancer's port is taken": Fault(
        "nginx", listener(6443), "loadbalancer-port", ("6443", "systemd-socket", "pid")
    ),
}


@pytest.fixture(scope="module")
def faulty(operators: Operators, bare_hosts: Lab) -> Done:
    """One run over hosts with every fault: all are told at once."""
    product = operators.another()
    edit(product, f'version = "{releases.offered_version()}"', 'version = "v1.35.0+k3s1"')
    for fault in FAULTS.values():
        bare_hosts.host(fault.host).sh(fault.make)
    done = refused(product, 5, "nothing was changed", "more, above")
    bare_hosts.fresh()
    return done


@pytest.mark.parametrize("what", FAULTS)
def test_a_host_that_does_not_do(faulty: Done, what: str) -> None:
    fault = FAULTS[what]
    (told,) = faulty.of("planned", step=f"{fault.host}/preflight/{fault.step}")
    assert told["verdict"] == "problem", told
    for text in fault.says:
        assert text in told["summary"], told
    assert told["hint"], told


@pytest.mark.skipif(
    Path("/sys/fs/cgroup/cgroup.controllers").exists(),
    reason="this machine has cgroup v2, with which every K3s starts",
)
def test_cgroup_v1_and_a_k3s_that_needs_v2(faulty: Done) -> None:
    for host in ("k3s-server-1", "k3s-server-2", "k3s-agent"):
        (told,) = faulty.of("planned", step=f"{host}/preflight/cgroups")
        assert told["verdict"] == "problem" and "v1.35.0+k3s1" in told["summary"], told


def test_only_what_is_wrong_is_a_problem(faulty: Done) -> None:
    problems = {event["step"] for event in faulty.of("planned", verdict="problem")}
    wanted = {f"{fault.host}/preflight/{fault.step}" for fault in FAULTS.values()}
    assert {step for step in problems if not step.endswith("/cgroups")} == wanted


# -- secrets --------------------------------------------------------------------------------------


def test_no_store(operators: Operators) -> None:
    product = operators.another()
    (product.folder / "lab.secrets").unlink()
    refused(product, 4, "lab.secrets does not exist", "k3s-tui secret init", "restore your backup")
    assert not (product.folder / "lab.secrets").exists()


def test_a_wrong_passphrase(operators: Operators) -> None:
    product = operators.another()
    private(product.passphrase, "not-this-one\n")
    done = refused(product, 4, "passphrase does not open", "--passphrase-file")
    assert "not-this-one" not in done.err + done.out


def test_a_token_that_k3s_would_take_for_a_bootstrap_token(operators: Operators) -> None:
    product = operators.another()
    store = (product.folder / "lab.secrets").read_bytes()
    bootstrap = "abcdef.0123456789abcdef"
    done = product.lab.run(
        product.command("secret", "set", product.profile, "k3s.token"),
        env=product.environment,
        cwd=paths.REPOSITORY,
        stdin=f"{bootstrap}\n".encode(),
    )
    assert done.returncode == 4 and b"bootstrap token" in done.stderr, done
    assert bootstrap.encode() not in done.stdout + done.stderr
    assert (product.folder / "lab.secrets").read_bytes() == store
    # The store is not the only place that a token can come from.
    edit(product, "store:k3s.token", "file:token")
    private(product.folder / "token", f"{bootstrap}\n")
    assert bootstrap not in refused(product, 4, "k3s.token", "bootstrap token").err
