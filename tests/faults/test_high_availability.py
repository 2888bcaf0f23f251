"""P14: the API goes on answering through the load balancer, and forgets no acknowledged write.

A limit is the promise's own, beyond the longest gap that the machine had before the fault; in
`make test`, where other tests run beside it, the shortest has five seconds more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from tests.faults.tally import FULL, Tally, amount
from tests.lab import network
from tests.lab.lab import Lab
from tests.lab.operators import lock_file
from tests.lab.product import Product

CALM = 60
"""Calls that succeed before the fault."""

AFTER = amount(60, 300)
"""Calls that succeed after it: in `make faults` for longer than a dead server is left out."""


class Watched:
    """A client in the agent's network, call by call."""

    def __init__(self, product: Product, name: str) -> None:
        agent = product.lab.host("k3s-agent").host
        self._process = subprocess.Popen(
            [
                *("nsenter", f"--net={network.namespace_path(agent)}", sys.executable),
                str(Path(__file__).with_name("api_load.py")),
                *(str(product.profile.with_suffix(".kubeconfig")), name),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.calls: list[dict[str, Any]] = []
        self.end: dict[str, Any] = {}
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            told = json.loads(line)
            with self._news:
                if "at" in told:
                    self.calls.append(told)
                else:
                    self.end = told
                self._news.notify_all()

    def answered(self, more: int, within: float = 120.0) -> None:
        """Wait for that many more calls that succeed."""
        with self._news:
            before = self._good()
            assert self._news.wait_for(lambda: self._good() >= before + more, within), self.failed

    def _good(self) -> int:
        return sum(not call["why"] for call in self.calls)

    @property
    def failed(self) -> list[str]:
        return [call["why"] for call in self.calls if call["why"]]

    def longest_gap(self, since: float = 0.0, until: float = float("inf")) -> float:
        """Seconds between two answers that came one after the other, from the first on."""
        good = [c["at"] for c in self.calls if not c["why"] and since <= c["at"] <= until]
        return max((b - a for a, b in pairwise(good)), default=0.0)

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(90)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()


@contextmanager
def watched(product: Product, name: str) -> Iterator[Watched]:
    client = Watched(product, name)
    try:
        yield client
    finally:
        client.stop()


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    assert product.init().status == 0
    done = product.apply()
    assert done.status == 0, done
    return product


def _server_stopped(product: Product) -> None:
    server = product.lab.host("k3s-server-1")
    server.sh("systemctl stop k3s")
    assert server.sh("systemctl is-active k3s || :") == "inactive\n"


def _server_out_of_reach(product: Product) -> None:
    """Nobody says that it is gone: connections to it end by their time alone."""
    network.plug(product.lab.host("k3s-server-1").host, in_=False)


def _database_restarted(product: Product) -> None:
    product.lab.host("postgres").sh("systemctl restart postgresql@15-main")


def _balancer_restarted(product: Product) -> None:
    product.lab.host("nginx").sh("systemctl restart k3s-tui-lb")


def _balancer_reloaded(product: Product) -> None:
    """A server is taken out of the upstream, and put back: each time the same start goes on."""
    balancer, server = product.lab.host("nginx"), product.lab.addresses["k3s-server-2"]
    start = "systemctl show -p InvocationID -p MainPID k3s-tui-lb"
    before = balancer.sh(start)
    assert "MainPID=0" not in before
    # Whose key is not pinned either is somebody else's node: it goes on as it is.
    whole = {file: file.read_text() for file in (product.profile, lock_file(product))}
    without = {file: _without(text, "k3s-server-2") for file, text in whole.items()}
    for files, there in ((without, False), (whole, True)):
        for file, text in files.items():
            file.write_text(text)
        done = product.apply("--only", "nginx")
        assert done.status == 0, done
        assert "nginx/loadbalancer/service" in done.steps("changed"), done
        upstream = balancer.sh("grep '^ *server .*max_fails' /etc/nginx/k3s-tui-lb.conf")
        assert (f"server {server}:" in upstream) == there, upstream
        assert balancer.sh(start) == before, "it was no reload"


def _without(text: str, name: str) -> str:
    document: Any = tomlkit.parse(text)
    for table in {"hosts", "host-keys"} & document.keys():
        del document[table][name]
    return tomlkit.dumps(document)


FAULTS: dict[str, tuple[Callable[[Product], None], float]] = {
    "load balancer reloaded with a changed upstream": (_balancer_reloaded, 2 if FULL else 7),
    "server 1 stopped under load": (_server_stopped, 10),
    "server 1's cable pulled under load": (_server_out_of_reach, 10),
    "PostgreSQL restarted under load": (_database_restarted, 60),
    "load balancer restarted under load": (_balancer_restarted, 10),
}


@pytest.mark.parametrize("fault", FAULTS if FULL else list(FAULTS)[:2])
def test_nothing_is_lost_and_no_gap_is_long(product: Product, tally: Tally, fault: str) -> None:
    inject, limit = FAULTS[fault]
    row = tally("P14", fault)
    with watched(product, f"load-{list(FAULTS).index(fault)}") as client:
        client.answered(CALM)
        began = time.monotonic()
        row.injected += 1
        try:
            inject(product)
            client.answered(AFTER)
        finally:
            network.plug(product.lab.host("k3s-server-1").host, in_=True)
    product.lab.host("k3s-server-1").sh("systemctl start k3s")
    calm, gap = client.longest_gap(until=began), client.longest_gap()
    row.lost += len(client.end["lost"])
    row.note = (
        f"longest gap {gap:.1f} s (before it {calm:.1f} s), {len(client.failed)} of"
        f" {len(client.calls)} calls failed, {client.end['acknowledged']} writes"
    )
    assert client.end["acknowledged"] > CALM / 4
    assert not client.end["lost"], client.end
    assert gap <= limit + calm, row.note
    row.survived += 1
