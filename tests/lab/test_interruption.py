"""Locks, Ctrl-C and a killed tool: whatever ends a run, the next one goes on from there."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from . import paths
from .containers import Container
from .lab import Lab
from .operators import Operators, changes, snapshot
from .product import Done, Product

Event = dict[str, Any]

OURS = re.compile(r"sshd: ops|\bsudo\b|/bin/sh -s|sh \./script|apt-get|\bdpkg\b")
"""Command lines of what k3s-tui starts on a host, and of the sessions that it comes through."""


class Running:
    """A `k3s-tui apply --json` that goes on while the test looks at its events."""

    def __init__(self, product: Product, *words: str) -> None:
        self.process = product.start("apply", product.profile, "--yes", "--json", *words)
        self._changed = threading.Condition()
        self._out: list[str] = []
        self._err: list[str] = []
        self._silent = 0
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._out)),
            threading.Thread(target=self._read, args=(self.process.stderr, self._err)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.decode())
                self._changed.notify_all()
        with self._changed:
            self._silent += 1
            self._changed.notify_all()

    @property
    def so_far(self) -> Done:
        return Done(self.process.poll() or 0, "".join(self._out), "".join(self._err))

    def until(self, what: Callable[[Done], object], within: float = 120.0) -> None:
        """Wait for something in the output; it fails when that can come no more."""
        with self._changed:
            self._changed.wait_for(lambda: what(self.so_far) or self._silent == 2, within)
            assert what(self.so_far), self.so_far

    def until_event(self, kind: str, step: str) -> None:
        needle = f'"step":{json.dumps(step)}'
        self.until(
            lambda _: any(f'"type":"{kind}"' in line and needle in line for line in self._out)
        )

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, within: float) -> Done:
        """How it ended, which it must by then."""
        status = self.process.wait(within)
        for reader in self._readers:
            reader.join(10)
        return Done(status, "".join(self._out), "".join(self._err))


@contextmanager
def running(product: Product, *words: str) -> Iterator[Running]:
    run = Running(product, *words)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.send(signal.SIGKILL)
        run.ended(10)


@pytest.fixture(scope="module")
def operators(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operators:
    return Operators(bare_hosts, tmp_path_factory.mktemp("operators"))


def alive(host: Container) -> list[str]:
    """What of ours runs on a host."""
    told = host.sh("ps -eo pid=,ppid=,args= | awk -v me=$$ '$1 != me && $2 != me'")
    return [line for line in told.splitlines() if OURS.search(line)]


def settle(lab: Lab, within: float) -> None:
    """Wait until nothing of ours runs on any host; then every lock is free."""
    deadline = time.monotonic() + within
    while left := {name: found for name, host in lab.containers.items() if (found := alive(host))}:
        assert time.monotonic() < deadline, left
    for name, host in lab.containers.items():
        locks = "for lock in $(find /run/k3s-tui -name lock); do flock -n $lock true || exit; done"
        assert host.sh(f"[ ! -d /run/k3s-tui ] || {{ {locks}; }}; echo free") == "free\n", name


def says_how_to_resume(product: Product, done: Done) -> bool:
    command = f"run again to resume: k3s-tui apply {product.profile} --yes"
    return command in done.err and done.events[-1]["hint"].startswith(command)


def packages_installed(host: Container, *names: str) -> list[str]:
    """The installations of these packages, as dpkg wrote them down."""
    pattern = "|".join(re.escape(name) for name in names)
    log = host.sh("cat /var/log/dpkg.log")
    return re.findall(rf"^\S+ \S+ install ({pattern}):\S+ <none>", log, re.MULTILINE)


def test_two_runs_at_once(operators: Operators, bare_hosts: Lab) -> None:
    """The first one is held where it looks at a host; it has all locks, and has changed nothing."""
    lab, first, colleague = bare_hosts, operators.another(), operators.another()
    lab.host("nginx").sh(
        """
        : >/run/held
        cat >/usr/local/bin/nproc <<'SHIM'
#!/bin/sh
tries=0
while [ -e /run/held ] && [ $tries -lt 600 ]; do tries=$((tries + 1)); sleep 0.1; done
echo 2
SHIM
        chmod 755 /usr/local/bin/nproc
        """
    )
    before = snapshot(lab)
    with running(first) as held:
        held.until(lambda done: len(done.of("host-state", state="connected")) == 6)
        run = held.so_far.events[0]["run"]

        same = first.apply()
        assert same.status == 7, same
        assert "another run of this profile" in same.err and "\ntry: " in same.err

        other = colleague.apply()
        assert other.status == 7, other
        for name in lab.containers:
            assert f"{name}: another run holds this host's lock: {run} by root@" in other.err
        assert "\ntry: " in other.err

        held.send(signal.SIGINT)
        interrupted = held.ended(60)
    assert interrupted.status == 130, interrupted
    assert "interrupted before anything was changed" in interrupted.err
    assert says_how_to_resume(first, interrupted), interrupted
    settle(lab, 60)
    assert not changes(before, snapshot(lab))
    lab.host("nginx").sh("rm /usr/local/bin/nproc /run/held")


def test_ctrl_c_and_going_on(operators: Operators, bare_hosts: Lab) -> None:
    """Twice in the middle of packages; once at a server, an agent, and the proofs."""
    lab, product = bare_hosts, operators.another()
    with running(product) as run:
        run.until_event("line", "postgres/datastore/packages")
        run.send(signal.SIGINT)
        run.until(lambda done: "stopping: no new steps" in done.err)
        run.send(signal.SIGINT)
        ended = run.ended(60)
    assert ended.status == 130, ended
    assert says_how_to_resume(product, ended), ended
    assert "postgres/datastore/packages" in ended.steps("cancelled"), ended
    # An installation is not torn: it goes on by itself, and nothing else does.
    settle(lab, 300)
    jobs = lab.host("postgres").sh("cat /run/k3s-tui/jobs/install-postgresql*/status")
    assert jobs == "0\n"

    for kind, step in (
        ("line", "k3s-server-1/servers/k3s"),
        ("line", "k3s-agent/agents/k3s"),
        ("step-started", "k3s-server-2/verification/datastore-login"),
    ):
        with running(product) as run:
            run.until_event(kind, step)
            run.send(signal.SIGINT)
            ended = run.ended(60)
        assert ended.status == 130, ended
        assert says_how_to_resume(product, ended), ended
        # What was under way has ended, in good order.
        assert not ended.steps("failed"), ended
        assert step in ended.steps("changed" if kind == "line" else "ok"), ended

    _goes_on(product)
    assert packages_installed(lab.host("postgres"), "postgresql-15") == ["postgresql-15"]


def test_a_killed_tool(operators: Operators, bare_hosts: Lab) -> None:
    """SIGKILL while packages come in, and while the first server starts."""
    lab, product = bare_hosts, operators.another()
    lab.fresh()
    downloads = len(paths.RELEASES_LOG.read_text())
    for step in ("postgres/datastore/packages", "k3s-server-1/servers/k3s"):
        with running(product) as run:
            run.until_event("line", step)
            run.send(signal.SIGKILL)
            assert run.ended(30).status == -signal.SIGKILL
    _goes_on(product)
    settle(lab, 60)
    assert packages_installed(lab.host("postgres"), "postgresql-15") == ["postgresql-15"]
    assert packages_installed(lab.host("nginx"), "nginx") == ["nginx"]
    fetched = re.findall(
        r"(\S+) GET (?:get\.k3s\.io|github\.com) (\S+)", paths.RELEASES_LOG.read_text()[downloads:]
    )
    # The script has no list of sums: each look asks for it itself, until its sum is recorded.
    binaries = [by for by, what in fetched if what.endswith("/k3s")]
    assert len(binaries) == len(set(binaries)) == 3, fetched
    assert {by for by, what in fetched if what == "/"} == set(binaries), fetched


def _goes_on(product: Product) -> None:
    """The same command again makes a cluster that needs nothing more."""
    again = product.apply()
    assert again.status == 0, again
    converged = product.plan("--detailed-exitcode")
    assert converged.status == 0, converged
