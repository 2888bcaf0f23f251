"""A profile that was edited: what may change changes alone, what may not refuses the run."""

from __future__ import annotations

import pytest
import tomlkit

from .lab import Lab
from .operators import changes, edit, snapshot
from .product import Done, Product

AGENT = "k3s-agent"
SERVERS = ("k3s-server-1", "k3s-server-2")


def starts(lab: Lab) -> dict[str, str]:
    """When each unit that matters began, by host and unit."""
    units = "postgresql@15-main k3s k3s-agent k3s-tui-lb"
    script = f"systemctl show -p Id,InvocationID {units}"
    found = {}
    for name, host in lab.containers.items():
        for block in host.sh(script).split("\n\n"):
            said = dict(line.partition("=")[::2] for line in block.splitlines())
            if said.get("InvocationID"):
                found[f"{name}/{said['Id']}"] = said["InvocationID"]
    return found


def applied(product: Product) -> Done:
    done = product.apply()
    assert done.status == 0, done
    return done


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """A cluster of two servers, without the agent."""
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"][AGENT]
    product.profile.write_text(tomlkit.dumps(document))
    assert product.init().status == 0
    applied(product)
    return product


def test_an_agent_that_is_added_is_all_that_changes(product: Product) -> None:
    before = starts(product.lab)
    with product.profile.open("a") as file:
        file.write('\n[hosts.k3s-agent]\naddress = "10.161.129.196"\nroles = ["agent"]\n')
    done = applied(product)
    changed = done.steps("changed")
    assert changed and {step.split("/")[0] for step in changed} == {AGENT}, changed
    after = starts(product.lab)
    assert {name: start for name, start in after.items() if AGENT not in name} == before
    assert f"{AGENT}/k3s-agent.service" in after


def test_another_name_of_the_api_restarts_the_servers_and_nothing_else(product: Product) -> None:
    before = starts(product.lab)
    edit(product, "tls-san = []", 'tls-san = ["api.example.org"]')
    done = applied(product)
    assert {s for s in done.steps("changed") if s.endswith("/servers/k3s")} == {
        f"{name}/servers/k3s" for name in SERVERS
    }
    after = starts(product.lab)
    restarted = {name for name in after if after[name] != before[name]}
    assert restarted == {f"{name}/k3s.service" for name in SERVERS}
    assert not applied(product).steps("changed")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('database = "k3s"', 'database = "another"', "datastore.database (k3s there, another"),
        ('user = "k3s"', 'user = "another"', "datastore.user (k3s there, another wanted)"),
        ("postgres.rancher.rke2", "db.example.org", "datastore.hostname (postgres.rancher.rke2"),
        ("tls-san = [", 'server-config.cluster-cidr = "10.99.0.0/16"\ntls-san = [', "cluster-cidr"),
    ],
)
def test_what_cannot_be_changed_is_named_and_nothing_is_touched(
    product: Product, old: str, new: str, says: str
) -> None:
    before, units = product.profile.read_text(), starts(product.lab)
    text = before.replace("[k3s.server-config]\n", "") if "server-config" in new else before
    product.profile.write_text(text)
    edit(product, old, new)
    try:
        done = product.apply()
    finally:
        product.profile.write_text(before)
    assert done.status == 5, done
    told = done.of("planned", verdict="problem")
    assert told and all("cannot be changed in a cluster" in e["summary"] for e in told), told
    assert {event["host"] for event in told} == set(SERVERS)
    assert says in told[0]["summary"], told
    assert starts(product.lab) == units


def test_after_the_refusals_nothing_is_to_be_changed(product: Product) -> None:
    assert not applied(product).steps("changed")


def test_an_agent_token_of_another_cluster_is_refused(product: Product) -> None:
    before = product.secrets()["k3s.agent-token"]
    argv = product.command("secret", "set", product.profile, "k3s.agent-token")
    another = b"another-agent-token-0123456789"
    done = product.lab.run(argv, env=product.environment, stdin=another)
    assert done.returncode == 0, done
    there, units = snapshot(product.lab), starts(product.lab)
    try:
        refusal = product.apply()
        assert refusal.status == 5, refusal
        assert "agent-token (it has another value)" in refusal.out
        # The cluster runs, and writes into its database and its own folder.
        assert not [c for c in changes(there, snapshot(product.lab)) if ":/etc/" in c]
        assert starts(product.lab) == units
    finally:
        product.lab.run(argv, env=product.environment, stdin=before.encode())
