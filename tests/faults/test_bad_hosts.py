"""P15: what hosts do to a run.  Each ends with a message of its own, and the next run goes on.

And of P2 and P10 what wants a host with systemd: a pulled cable, and a success that is none.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.faults.hostile_sshd import HARMLESS, HOSTILE
from tests.faults.tally import FULL, Row, Tally
from tests.faults.test_hostile_host import controls
from tests.faults.test_network import LOADED, PROMISED
from tests.lab import network, paths
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


@dataclass
class Faults:
    """Those of this module.  One has been survived when a later run has come to its end."""

    tally: Tally
    ended: list[Row] = field(default_factory=list)

    @contextmanager
    def one(self, promise: str, what: str) -> Iterator[None]:
        row = self.tally(promise, what)
        row.injected += 1
        yield
        self.ended.append(row)


@pytest.fixture(scope="module")
def faults(tally: Tally) -> Faults:
    return Faults(tally)


def failure(done: Done, host: str) -> tuple[str, str]:
    """What the failed step of a host says itself, and what to try: not what the host said."""
    (event,) = [e for e in done.of("step-done", outcome="failed") if e["step"].startswith(host)]
    assert "Traceback" not in done.err, done
    assert event["hint"], done
    return event["error"], event["hint"]


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


def test_a_success_that_is_none(product: Product, faults: Faults) -> None:
    """What a program says, its exit status included, is not believed: what is there, is."""
    lies = shim("apt-get", 'echo "Setting up nginx (1.22.1-9) ..."; exit 0')
    with faults.one("P10", "a package manager that says it has installed, and has not"):
        with until_mended(product.lab.host("nginx"), lies, "rm /usr/local/bin/apt-get"):
            done = product.apply("--only", "nginx")
        assert done.status == 1, done
        assert "Setting up nginx" in "".join(e["text"] for e in done.of("line")), done
        ours = {"nginx/loadbalancer/packages", "nginx/loadbalancer/service"}
        assert not done.steps("changed") & ours
        (event,) = done.of("step-done", step="nginx/loadbalancer/packages")
        assert "nginx" in event["error"], done


def test_hostile_words_of_a_step(product: Product, tally: Tally) -> None:
    """What a program says is shown as it comes, and nothing of it is for the terminal to obey."""
    row = tally("P10", "hostile words of a step, on the command's terminal")
    told = []
    for texts in (HARMLESS, HOSTILE):
        words = base64.b64encode("\n".join(texts).encode()).decode()
        says = shim("apt-get", f"echo {words} | base64 -d; exit 0")
        with until_mended(product.lab.host("nginx"), says, "rm /usr/local/bin/apt-get"):
            told.append(_on_a_terminal(product, "--only", "nginx", "--verbose"))
    harmless, hostile = told
    row.injected += len(HOSTILE)
    assert "an ordinary line" in harmless and "\\x1b]52;c;" in hostile, told
    assert controls(hostile) <= controls(harmless), hostile
    row.survived += len(HOSTILE)


def _on_a_terminal(product: Product, *words: str) -> str:
    """What a terminal gets from an `apply` that fails."""
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    apply = product.command("apply", product.profile, "--yes", *words)
    environment = {**product.environment, "TERM": "xterm-256color", "NO_COLOR": ""}
    command = [sys.executable, "-c", spawn, *apply]
    done = product.lab.run(command, env=environment, cwd=paths.REPOSITORY, within=600)
    assert done.returncode == 1, done
    return done.stdout.decode(errors="replace")


def test_a_package_lock_that_is_not_let_go_of(product: Product, faults: Faults) -> None:
    """Waited for as long as apt is told to, which is less here than on a host."""
    nginx = product.lab.host("nginx")
    soon = shim("apt-get", 'exec /usr/bin/apt-get "$@" -o DPkg::Lock::Timeout=3')
    with (
        faults.one("P15", "package lock held by another process, for longer than is waited"),
        until_mended(nginx, soon, "rm /usr/local/bin/apt-get"),
        package_lock_held(nginx),
    ):
        done = product.apply("--only", "nginx")
        assert done.status == 1, done
        (event,) = done.of("step-done", step="nginx/loadbalancer/packages")
        assert "lock" in event["error"] and "/var/lib/dpkg/lock" in event["error"], event
        assert "Traceback" not in done.err


def test_a_held_package_lock_is_named_and_waited_for(product: Product, faults: Faults) -> None:
    nginx = product.lab.host("nginx")
    with (
        faults.one("P15", "package lock held by another process"),
        package_lock_held(nginx) as release,
        running(product, "--only", "nginx") as run,
    ):
        run.until(lambda done: any("lock-frontend" in e["text"] for e in done.of("line")))
        said = next(e["text"] for e in run.so_far.of("line") if "lock-frontend" in e["text"])
        assert "held by process" in said, said
        release()
        assert run.ended(300).status == 0, run.so_far


def cable_pulled(product: Product, faults: Faults, name: str, step: str) -> None:
    """In a step, until it is missed: put back, the step goes on."""
    spec = next(spec for spec in HOSTS if spec.name == name)
    with (
        faults.one("P2", "a host's cable pulled in a step"),
        running(product, "--only", step) as run,
    ):
        run.until_event("step-started", step)
        network.plug(spec, in_=False)
        try:
            run.until(lambda done: done.of("host-state", host=name, state="lost"))
        finally:
            network.plug(spec, in_=True)
            back = time.time()
        done = run.ended(400)
        assert done.status == 0, done
        assert step in done.steps("changed") | done.steps("ok"), done
        again = [e["t"] for e in done.of("host-state", host=name, state="connected")]
        assert again[-1] - back < PROMISED + LOADED, (again, back)


@pytest.mark.full
def test_a_pulled_cable_while_packages_are_installed(product: Product, faults: Faults) -> None:
    cable_pulled(product, faults, "postgres", "postgres/datastore/packages")


def test_a_full_disk(product: Product, faults: Faults) -> None:
    full = (
        "mkdir -p /etc/k3s-tui && mount -t tmpfs -o size=16k tmpfs /etc/k3s-tui &&"
        " { cat /dev/zero >/etc/k3s-tui/full 2>/dev/null || :; }"
    )
    with faults.one("P15", "disk full"):
        with until_mended(product.lab.host("postgres"), full, "umount /etc/k3s-tui"):
            done = product.apply()
        assert done.status == 1, done
        error, hint = failure(done, "postgres/")
        assert "/etc/k3s-tui" in error and "there is no space left on the device" in error, done
        assert "df -h /etc/k3s-tui" in hint, done


@pytest.mark.full
def test_a_pulled_cable_while_the_datastore_is_logged_in_to(
    product: Product, faults: Faults
) -> None:
    cable_pulled(product, faults, "k3s-server-1", "k3s-server-1/servers/datastore-login")


def test_a_disk_that_cannot_be_written(product: Product, faults: Faults) -> None:
    read_only = (
        "mkdir -p /etc/rancher && mount -t tmpfs tmpfs /etc/rancher &&"
        " mount -o remount,ro /etc/rancher"
    )
    with faults.one("P15", "read-only disk"):
        with until_mended(product.lab.host("k3s-server-1"), read_only, "umount /etc/rancher"):
            done = product.apply()
        assert done.status == 1, done
        error, hint = failure(done, "k3s-server-1/")
        assert "/etc/rancher" in error and "its file system is read-only" in error, done
        assert "findmnt -T /etc/rancher" in hint, done


def test_a_laptop_whose_disk_is_full(product: Product, faults: Faults) -> None:
    """What is under way on hosts does not depend on it; that the log is not whole is said."""
    state = product.home / "state"
    state.mkdir(exist_ok=True)
    with faults.one("P15", "the laptop's disk full"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", state], check=True)
        try:
            with pytest.raises(OSError, match="No space"), (state / "full").open("wb") as file:
                while True:
                    file.write(bytes(4096))
                    file.flush()
            done = product.apply("--only", "k3s-server-1/servers/hosts-entry")
        finally:
            subprocess.run(["umount", state], check=True)
        assert done.status == 0, done
        told = f"warning: the log of this run is not whole: {state}/"
        assert told in done.err and "No space left on device" in done.err, done


def test_a_pulled_cable_while_k3s_starts(product: Product, faults: Faults) -> None:
    cable_pulled(product, faults, "k3s-server-1", "k3s-server-1/servers/k3s")


def jumped_clock(host: Container) -> tuple[str, str]:
    """A host whose time is an hour ahead from now on: what does that, and what undoes it."""
    ahead = '[ "$*" = +%s ] || exec /bin/date "$@"\necho $(($(/bin/date +%s) + 3600))'
    return shim("date", ahead), "rm /usr/local/bin/date"


def test_sudo_that_is_revoked_half_way(product: Product, faults: Faults) -> None:
    agent = product.lab.host("k3s-agent")
    with faults.one("P15", "sudo revoked half-way"), running(product) as run:
        run.until_event("line", "k3s-server-2/servers/k3s")
        agent.sh("mv /etc/sudoers.d/lab /root/sudoers.lab")
        try:
            done = run.ended(300)
        finally:
            agent.sh("mv /root/sudoers.lab /etc/sudoers.d/lab")
        assert done.status in (1, 4), done
        error, _ = failure(done, "k3s-agent/")
        assert "sudo" in error, done


def test_a_clock_that_jumps(product: Product, faults: Faults) -> None:
    """Between two runs, an hour ahead: what is dated here would not be valid there."""
    jump, back = jumped_clock(product.lab.host("k3s-server-2"))
    with faults.one("P15", "clock jump"):
        with until_mended(product.lab.host("k3s-server-2"), jump, back):
            done = product.apply()
        assert done.status == 5 and not done.of("step-started"), done
        assert "k3s-server-2/preflight/clock: its clock is 60 min ahead" in done.err, done
        assert "date" in done.events[-1]["hint"], done


def test_a_reboot_in_a_step(product: Product, faults: Faults) -> None:
    """As long as the step may take, the host is waited for; that it went away is said."""
    lab = product.lab
    with faults.one("P15", "reboot in a step"), running(product) as run:
        run.until_event("step-started", "k3s-agent/agents/k3s")
        lab.power_off("k3s-agent")
        run.until(lambda done: done.of("host-state", host="k3s-agent", state="lost"))
        lab.power_on("k3s-agent")
        done = run.ended(400)
        states = [event["state"] for event in done.of("host-state", host="k3s-agent")]
        assert "connected" in states[states.index("lost") :], done
        if done.status:
            error, hint = failure(done, "k3s-agent/agents/k3s")
            assert done.status == 1 and "k3s-agent" in f"{error}{hint}", done


def test_after_all_of_that_the_cluster_is_whole(product: Product, faults: Faults) -> None:
    """Each fault's cause is gone: the next run goes on from whatever it has left."""
    done = product.apply()
    assert done.status == 0, done
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again
    for row in faults.ended:
        row.survived += 1
    assert len(faults.ended) >= (12 if FULL else 10)
