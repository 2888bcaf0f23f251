"""Hosts in several roles at once: every pair that may share one, in two clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomlkit

from .lab import Lab
from .operators import changes, snapshot
from .product import Done, Product

Roles = dict[str, list[str]]

PORT = 7443
"""Beside a server or an agent, 6443 is taken."""


def operator(lab: Lab, folder: Path, roles: Roles, balancer: str) -> Product:
    """The lab's profile with these hosts in these roles; one of them balances on `PORT`."""
    product = Product(lab, folder)
    document = tomlkit.parse(product.profile.read_text())
    for name in list(document["hosts"]):
        if name in roles:
            document["hosts"][name]["roles"] = roles[name]
        else:
            del document["hosts"][name]
    document["loadbalancer"]["address"] = lab.addresses[balancer]
    document["loadbalancer"]["port"] = PORT
    product.profile.write_text(tomlkit.dumps(document))
    assert product.init().status == 0
    return product


def applied(product: Product) -> Done:
    done = product.apply()
    assert done.status == 0, done
    return done


SERVERS_SHARE: Roles = {
    "k3s-server-1": ["server", "loadbalancer"],
    "k3s-server-2": ["datastore", "server"],
    "k3s-agent": ["agent"],
}
ONE_SERVER: Roles = {"k3s-server-1": ["server"], "nginx": ["loadbalancer", "agent", "datastore"]}


@pytest.mark.parametrize(
    ("roles", "balancer"), [(SERVERS_SHARE, "k3s-server-1"), (ONE_SERVER, "nginx")]
)
def test_from_bare_hosts_to_a_cluster_and_to_0_changes(
    lab: Lab, tmp_path: Path, roles: Roles, balancer: str
) -> None:
    lab.fresh()
    product = operator(lab, tmp_path, roles, balancer)
    servers = [name for name in roles if "server" in roles[name]]
    agents = [name for name in roles if "agent" in roles[name]]

    done = applied(product)
    proved = done.steps("ok")
    for name in servers:
        assert f"{name}/verification/datastore-login" in proved, done
        assert f"{name}/verification/refuses-plain-tcp" in proved, done
    assert f"{balancer}/verification/every-server-answers" in proved, done
    alone = "there is only one server: the cluster is not highly available"
    assert (alone in done.err) == (len(servers) == 1), done
    nodes = lab.host(servers[0]).sh("k3s kubectl get nodes -o name").split()
    assert sorted(nodes) == sorted(f"node/{name}" for name in (*servers, *agents))
    ca = "/var/lib/rancher/k3s/server/tls/server-ca.crt"
    through = f"curl -s --cacert {ca} https://{lab.addresses[balancer]}:{PORT}/ping"
    assert lab.host(servers[0]).sh(through) == "pong"
    for name in agents:
        config = lab.host(name).sh("cat /etc/rancher/k3s/config.yaml")
        assert f"server: https://{lab.addresses[balancer]}:{PORT}\n" in config

    again = applied(product)
    assert not again.steps("changed"), again

    for name in (*servers, *agents):
        if len(roles[name]) > 1 and len(servers) > 1:
            loses_its_node(product, name)


def loses_its_node(product: Product, name: str) -> None:
    """Left to its other role, it would go on as a node that nobody knows."""
    text = product.profile.read_text()
    document = tomlkit.parse(text)
    kept = [role for role in document["hosts"][name]["roles"] if role not in ("server", "agent")]
    document["hosts"][name]["roles"] = kept
    product.profile.write_text(tomlkit.dumps(document))
    before = snapshot(product.lab)
    done = product.apply()
    product.profile.write_text(text)
    assert done.status == 5, done
    told = done.of("planned", verdict="problem", step=f"{name}/preflight/existing-k3s")
    assert [event["host"] for event in told] == [name], done
    assert "does not make it a server or an agent any more" in told[0]["summary"]
    assert not [at for at in changes(before, snapshot(product.lab)) if ":/etc/" in at]
