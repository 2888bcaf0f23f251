"""P15: what hosts do to a run.  Each ends with a message of its own, and the next run goes on.

And of P2 and P10 what wants a host with systemd: a pulled cable, and a success that is none.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.faults.tally import Tally
from tests.lab import network
from tests.lab.containers import Container
from tests.lab.lab import Lab
from tests.lab.product import Done, Product
from tests.lab.test_interruption import running
from tests.lab.test_refusals import shim
from tests.lab.topology import HOSTS

_HOLD = """
import fcntl, sys
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """One cluster that comes about in spite of all: each test leaves it further than before."""
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    assert product.init().status == 0
    return product


@contextmanager
def until_mended(host: Container, breaks: str, mends: str) -> Iterator[None]:
    host.sh(breaks)
    try:
        yield
    finally:
        host.sh(mends)


def failure(done: Done, host: str) -> str:
    """What the failed step of a host said: the error, its hint, and the host's last lines."""
    (event,) = [e for e in done.of("step-done", outcome="failed") if e["step"].startswith(host)]
    return f"{event['error']}\n{event['hint']}\n{event['tail']}"


@contextmanager
def package_lock_held(host: Container) -> Iterator[Callable[[], None]]:
    """By another process, as by an upgrade that runs unattended; gives what lets go of it."""
    holder = subprocess.Popen(
        host.enter("/opt/standin/usr/bin/python", "-c", _HOLD),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin and holder.stdout
    assert holder.stdout.readline() == b"held\n"
    try:
        yield holder.stdin.close
    finally:
        holder.kill()
        holder.wait()


def test_a_success_that_is_none(product: Product, tally: Tally) -> None:
    """What a program says, its exit status included, is not believed: what is there, is."""
    row = tally("P10", "a package manager that says it has installed, and has not")
    lies = shim("apt-get", 'echo "Setting up nginx (1.22.1-9) ..."; exit 0')
    row.injected += 1
    with until_mended(product.lab.host("nginx"), lies, "rm /usr/local/bin/apt-get"):
        done = product.apply("--only", "nginx")
    assert done.status == 1, done
    assert "Setting up nginx" in "".join(e["text"] for e in done.of("line")), done
    assert not done.steps("changed") & {"nginx/loadbalancer/packages", "nginx/loadbalancer/service"}
    assert "nginx" in failure(done, "nginx/loadbalancer/packages"), done
    row.survived += 1


def test_a_held_package_lock_is_named_and_waited_for(product: Product, tally: Tally) -> None:
    row = tally("P15", "package lock held by another process")
    nginx = product.lab.host("nginx")
    with package_lock_held(nginx) as release, running(product, "--only", "nginx") as run:
        row.injected += 1
        run.until(lambda done: any("lock-frontend" in e["text"] for e in done.of("line")))
        said = next(e["text"] for e in run.so_far.of("line") if "lock-frontend" in e["text"])
        assert "held by process" in said, said
        release()
        done = run.ended(300)
    assert done.status == 0, done
    row.survived += 1


def test_a_pulled_cable(product: Product, tally: Tally) -> None:
    """While packages are installed, until it is missed: put back, the step goes on."""
    row = tally("P2", "a host's cable pulled in a step")
    spec = next(spec for spec in HOSTS if spec.name == "postgres")
    with running(product, "--only", "postgres/datastore/packages") as run:
        run.until_event("step-started", "postgres/datastore/packages")
        row.injected += 1
        network.plug(spec, in_=False)
        try:
            run.until(lambda done: any(e["state"] == "lost" for e in done.of("host-state")))
        finally:
            network.plug(spec, in_=True)
        done = run.ended(300)
    assert done.status == 0 and "postgres/datastore/packages" in done.steps("changed"), done
    row.survived += 1


def test_a_full_disk(product: Product, tally: Tally) -> None:
    row = tally("P15", "disk full")
    full = (
        "mkdir -p /etc/k3s-tui && mount -t tmpfs -o size=16k tmpfs /etc/k3s-tui &&"
        " { cat /dev/zero >/etc/k3s-tui/full 2>/dev/null || :; }"
    )
    row.injected += 1
    with until_mended(product.lab.host("postgres"), full, "umount /etc/k3s-tui"):
        done = product.apply()
    assert done.status == 1, done
    assert "No space left on device" in failure(done, "postgres/"), done
    assert "Traceback" not in done.err
    row.survived += 1


def test_a_disk_that_cannot_be_written(product: Product, tally: Tally) -> None:
    row = tally("P15", "read-only disk")
    read_only = (
        "mkdir -p /etc/rancher && mount -t tmpfs tmpfs /etc/rancher &&"
        " mount -o remount,ro /etc/rancher"
    )
    row.injected += 1
    with until_mended(product.lab.host("k3s-server-1"), read_only, "umount /etc/rancher"):
        done = product.apply()
    assert done.status == 1, done
    assert "Read-only file system" in failure(done, "k3s-server-1/"), done
    row.survived += 1


def test_sudo_that_is_revoked_half_way(product: Product, tally: Tally) -> None:
    row = tally("P15", "sudo revoked half-way")
    agent = product.lab.host("k3s-agent")
    with running(product) as run:
        run.until_event("step-started", "k3s-server-1/servers/k3s")
        row.injected += 1
        agent.sh("mv /etc/sudoers.d/lab /root/sudoers.lab")
        try:
            done = run.ended(300)
        finally:
            agent.sh("mv /root/sudoers.lab /etc/sudoers.d/lab")
    assert done.status in (1, 4), done
    assert "sudo" in failure(done, "k3s-agent/"), done
    assert "Traceback" not in done.err
    row.survived += 1


def test_a_clock_that_jumps(product: Product, tally: Tally) -> None:
    """Between two runs, an hour ahead: what is dated here would not be valid there."""
    row = tally("P15", "clock jump")
    jump = shim("date", '[ "$*" = +%s ] || exec /bin/date "$@"\necho $(($(/bin/date +%s) + 3600))')
    row.injected += 1
    with until_mended(product.lab.host("k3s-server-2"), jump, "rm /usr/local/bin/date"):
        done = product.apply()
    assert done.status == 5 and not done.of("step-started"), done
    assert "k3s-server-2/preflight/clock: its clock is 60 min ahead" in done.err, done
    assert "date" in done.events[-1]["hint"], done
    row.survived += 1


def test_a_reboot_in_a_step(product: Product, tally: Tally) -> None:
    """As long as the step may take, the host is waited for."""
    row = tally("P15", "reboot in a step")
    lab = product.lab
    with running(product) as run:
        run.until_event("step-started", "k3s-agent/agents/k3s")
        row.injected += 1
        lab.power_off("k3s-agent")
        lab.power_on("k3s-agent")
        done = run.ended(400)
        assert done.status in (0, 1), done
        assert "Traceback" not in done.err, done
    row.survived += 1


def test_after_all_of_that_the_cluster_is_whole(product: Product) -> None:
    done = product.apply()
    assert done.status == 0, done
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again
