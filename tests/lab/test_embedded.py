"""Three servers that keep the cluster's state among themselves.

The stand-in replicates nothing: these tests show who founds and who joins, not what survives.
"""

from __future__ import annotations

import pytest
import tomlkit
import yaml

from .lab import Lab
from .operators import changes, snapshot
from .product import Product

SERVERS = ("k3s-server-1", "k3s-server-2", "postgres")
STARTED = "systemctl show -p InvocationID k3s"


def embedded(product: Product, *servers: str) -> None:
    """Keep the state in these servers; the host of PostgreSQL becomes one, or nothing."""
    document = tomlkit.parse(product.profile.read_text())
    document.pop("pki", None)
    document["datastore"] = {"mode": "embedded"}
    for name in SERVERS:
        if name in servers:
            document["hosts"][name]["roles"] = ["server"]
        else:
            del document["hosts"][name]
    product.profile.write_text(tomlkit.dumps(document))


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    embedded(product, *SERVERS)
    assert product.init().status == 0
    return product


def test_a_cluster_without_a_datastore(product: Product) -> None:
    done = product.apply()
    assert done.status == 0, done
    assert f"{SERVERS[0]}/verification/etcd-members" in done.steps("ok")
    again = product.apply()
    assert again.status == 0, again
    assert not again.steps("changed"), again


def test_the_first_founds_and_the_others_join(product: Product) -> None:
    configs = {}
    for name in SERVERS:
        read = product.lab.host(name).sh("cat /etc/rancher/k3s/config.yaml")
        secret = product.lab.host(name).sh("cat /etc/rancher/k3s/config.yaml.d/50-secrets.yaml")
        configs[name] = (yaml.safe_load(read), yaml.safe_load(secret))
    public, secrets = configs[SERVERS[0]]
    assert public["cluster-init"] is True and "server" not in public
    assert not secrets["token"].startswith("K10")
    for name in SERVERS[1:]:
        public, secrets = configs[name]
        assert public["server"] == "https://10.161.129.54:6443" and "cluster-init" not in public
        assert secrets["token"].startswith("K10") and "::server:" in secrets["token"]
    assert not any(key.startswith("datastore") for c in configs.values() for key in (*c[0], *c[1]))


def test_nothing_of_postgresql_is_planned_or_there(product: Product) -> None:
    steps = {event["step"] for event in product.plan().of("planned")}
    assert not [step for step in steps if "datastore" in step or "certificate" in step]
    for name in SERVERS:
        found = product.lab.host(name).sh("ls -d /etc/k3s-tui/datastore /etc/postgresql 2>&1 || :")
        assert found.count("No such file") == 2, found


def test_another_token_is_refused(product: Product) -> None:
    """There is no datastore to say so; and the first server would start anew with it."""
    units = {name: product.lab.host(name).sh(STARTED) for name in SERVERS}
    files = snapshot(product.lab)
    store = product.profile.with_suffix(".secrets")
    before = store.read_bytes()
    argv = product.command("secret", "set", product.profile, "k3s.token")
    done = product.lab.run(argv, env=product.environment, stdin=b"another-token-0123456789")
    assert done.returncode == 0, done
    refused = product.apply()
    store.write_bytes(before)
    assert refused.status == 5, refused
    told = {e["step"]: e["summary"] for e in refused.of("planned", verdict="problem")}
    assert told == {
        f"{name}/preflight/unchanged": "this cannot be changed in a cluster that is there:"
        " token (it has another value)"
        for name in SERVERS
    }
    assert not [at for at in changes(files, snapshot(product.lab)) if ":/etc/" in at]
    assert {name: product.lab.host(name).sh(STARTED) for name in SERVERS} == units
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again


def test_a_server_that_is_no_member_is_named(product: Product) -> None:
    kubectl = "/usr/local/bin/k3s kubectl"
    founder, last = product.lab.host(SERVERS[0]), product.lab.host(SERVERS[2])
    last.sh("systemctl stop k3s")
    founder.sh(f"{kubectl} delete node {SERVERS[2]}")
    done = product.run("verify", product.profile, "--json")
    assert done.status == 6, done
    (event,) = done.of("step-done", step=f"{SERVERS[0]}/verification/etcd-members")
    assert f"{SERVERS[2]}: no member of etcd" in event["error"], event


def test_an_even_number_is_refused(product: Product) -> None:
    embedded(product, *SERVERS[:2])
    done = product.run("check", product.profile)
    assert done.status == 3, done
    assert "etcd needs an odd number of servers" in done.out + done.err
