"""P15: hosts whose power goes while packages or K3s are being installed on them.

What the disk is left with is half of something; the next run makes it whole, and by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.tally import Tally
from tests.lab.containers import Container
from tests.lab.lab import Lab
from tests.lab.product import Product
from tests.lab.test_interruption import running
from tests.lab.test_refusals import shim

_HELD = ": >/run/held\nsleep 600\nexit 1"
_UNTIL_HELD = """
tries=0
until [ -e /run/held ]; do
    tries=$((tries + 1))
    [ $tries -lt 1500 ] || exit 1
    sleep 0.1
done
"""


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """One cluster that comes about in spite of all."""
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    assert product.init().status == 0
    return product


@contextmanager
def power_cut(
    product: Product, name: str, command: str, when: str, *words: str
) -> Iterator[Container]:
    """A host's power goes in an apply, at a call of `command` with arguments like `when`; what is
    inside finds it without power.  The tool dies with it, so that nothing goes on by itself.
    """
    host = product.lab.host(name)
    # apt gives dpkg a PATH of its own.
    path = 'DPkg::Path "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";'
    host.sh(f"echo '{path}' >/etc/apt/apt.conf.d/99path")
    host.sh(shim(command, f'case "$*" in {when})\n{_HELD} ;;\nesac\nexec /usr/bin/{command} "$@"'))
    with running(product, *words):
        host.sh(_UNTIL_HELD, within=200)
        host.kill()
    (host.root / "usr/local/bin" / command).unlink()
    (host.root / "etc/apt/apt.conf.d/99path").unlink()
    yield host
    product.lab.power_on(name)


def converges(product: Product, *words: str) -> str:
    """What the hosts say meanwhile."""
    done = product.apply(*words)
    assert done.status == 0, done
    return "".join(f"{event['text']}\n" for event in done.of("line"))


@pytest.mark.parametrize(
    ("name", "step", "command", "when", "left"),
    [
        (
            "postgres",
            "postgres/datastore/packages",
            "dpkg-deb",
            "*--fsys-tarfile*postgresql-15_*",
            "postgresql-15 half-installed",
        ),
        (
            "postgres",
            "postgres/datastore/packages",
            "pg_createcluster",
            "*",
            "postgresql-15 half-configured",
        ),
        (
            "nginx",
            "nginx/loadbalancer/packages",
            "deb-systemd-invoke",
            "*nginx.service*",
            "nginx-common half-configured",
        ),
    ],
    ids=["unpacked", "configured", "its unit enabled"],
)
def test_power_that_goes_while_packages_are_installed(
    product: Product, tally: Tally, name: str, step: str, command: str, when: str, left: str
) -> None:
    row = tally("P15", "power cut while packages are installed")
    row.injected += 1
    lab = product.lab
    lab.fresh(name)
    with power_cut(product, name, command, when, "--only", step):
        pass
    statuses = lab.host(name).sh("dpkg-query -W -f '${Package} ${db:Status-Status}\\n'")
    assert left in statuses.splitlines(), statuses
    told = converges(product, "--only", step)
    assert "dpkg --configure -a" in told, told
    assert lab.host(name).sh("dpkg --audit") == ""
    if name == "nginx":  # It came with our installation, so it is not to run.
        state = lab.host(name).sh("systemctl is-enabled nginx || systemctl is-active nginx || :")
        assert state.split() == ["disabled", "inactive"]
    row.survived += 1


@pytest.mark.parametrize(
    ("name", "unit"), [("k3s-server-1", "k3s.service"), ("k3s-agent", "k3s-agent.service")]
)
def test_power_that_goes_in_the_install_script(
    product: Product, tally: Tally, name: str, unit: str
) -> None:
    """It has written its unit, of which the disk has got no more than the name."""
    row = tally("P15", "power cut in the install script of K3s, its unit empty")
    row.injected += 1
    lab = product.lab
    path = f"/etc/systemd/system/{unit}"
    with power_cut(product, name, "systemctl", f'"enable {path}"') as host:
        written = host.root / path.lstrip("/")
        assert b"ExecStart=" in written.read_bytes()
        written.write_bytes(b"")
    step = f"{name}/{'agents' if name == 'k3s-agent' else 'servers'}/k3s"
    (planned,) = product.plan().of("planned", step=step)
    assert f"{unit}: install, start" in planned["summary"], planned
    converges(product, "--only", step)
    assert lab.host(name).sh(f"systemctl is-enabled {unit}; systemctl is-active {unit}") == (
        "enabled\nactive\n"
    )
    row.survived += 1


def test_after_all_of_that_the_cluster_is_whole(product: Product) -> None:
    converges(product)
    nodes = product.lab.host("k3s-server-1").sh("k3s kubectl get nodes --no-headers")
    assert [line.split()[1] for line in nodes.splitlines()] == ["Ready"] * 3, nodes
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again
