"""A PostgreSQL that somebody else runs: there is no way in but its port."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomlkit

from . import handmade
from .lab import Lab
from .operators import changes, snapshot
from .product import Done, Product

SERVERS = ("k3s-server-1", "k3s-server-2")
NAME = "postgres.rancher.rke2"


def elsewhere(product: Product) -> None:
    """Take the datastore's host out of the profile; its operator has handed over three files."""
    postgres = product.lab.host("postgres")
    for name in ("ca.crt", "client.crt", "client.key"):
        file = product.folder / name
        file.touch(0o600)
        file.write_text(postgres.sh(f"cat /root/pki/{name}"))
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"]["postgres"]
    document.pop("pki", None)
    document["datastore"] = {
        "mode": "existing",
        "hostname": NAME,
        "address": "10.161.129.212",
        "password": "file:database-password",
        "ca": "ca.crt",
        "client-certificate": "client.crt",
        "client-key": "client.key",
    }
    product.profile.write_text(tomlkit.dumps(document))
    password(product, handmade.PASSWORD)


def password(product: Product, value: str) -> None:
    file = product.folder / "database-password"
    file.touch(0o600)
    file.write_text(value + "\n")


def failure(done: Done, step: str) -> str:
    (event,) = done.of("step-done", step=step)
    return f"{event['error']}\n{event['hint']}"


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    handmade.make_datastore(bare_hosts)
    bare_hosts.host("postgres").sh("usermod --expiredate 1 ops; usermod --expiredate 1 opspw")
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    elsewhere(product)
    assert product.init().status == 0
    return product


def test_a_wrong_password_stops_before_anything_is_installed(product: Product) -> None:
    password(product, "not-this-one")
    done = product.apply()
    assert done.status == 1, done
    for server in SERVERS:
        told = failure(done, f"{server}/servers/datastore-login")
        assert "password authentication failed" in told
        assert "SQLSTATE 28P01" in told and "usual causes" in told
        assert not product.lab.host(server).sh("ls /etc/systemd/system/k3s.service || :").strip()
    password(product, handmade.PASSWORD)


def test_a_cluster_on_it(product: Product) -> None:
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == 0, done
    after = changes(before, snapshot(product.lab))
    assert not [change for change in after if change.startswith("postgres:/etc")], after
    assert {f"{name}/servers/datastore-login" for name in SERVERS} <= done.steps("ok")
    key = product.lab.host(SERVERS[0]).sh("stat -c '%a %U' /etc/k3s-tui/datastore/client.key")
    assert key.split() == ["600", "root"]
    again = product.apply()
    assert again.status == 0, again
    assert not again.steps("changed"), again


def test_nothing_is_planned_for_it(product: Product) -> None:
    plan = product.plan()
    assert not [event for event in plan.of("planned") if event["host"] == "postgres"]
    assert not [
        event for event in plan.of("planned") if event["step"].endswith("servers/datastore-files")
    ]


def test_what_its_rules_refuse_is_shown(product: Product) -> None:
    done = product.run("verify", product.profile, "--json")
    assert done.status == 0, done
    for server in SERVERS:
        for kind in ("no-certificate", "other-ca", "plain-tcp", "wrong-password"):
            (event,) = done.of("step-done", step=f"{server}/verification/refuses-{kind}")
            assert event["outcome"] == "ok" and not event["warning"], event


def test_what_its_rules_let_in_is_a_warning(product: Product) -> None:
    product.lab.host("postgres").sh(
        """
        cd /etc/postgresql/15/main
        sed -i '1i host k3s k3s 10.161.129.0/24 scram-sha-256' pg_hba.conf
        systemctl reload postgresql
        """
    )
    done = product.run("verify", product.profile, "--json")
    assert done.status == 0, done
    warned = {
        event["step"]: event["warning"] for event in done.of("step-done") if event.get("warning")
    }
    for server in SERVERS:
        for kind, words in (("plain-tcp", "plain TCP"), ("no-certificate", "without a client")):
            told = warned[f"{server}/verification/refuses-{kind}"]
            assert "not enforced by the datastore's rules" in told and words in told
        assert f"{server}/verification/refuses-wrong-password" not in warned


def test_another_clusters_data_is_refused(product: Product, tmp_path: Path) -> None:
    product.lab.host("postgres").sh(
        'runuser -u postgres -- psql -q k3s -c "insert into kine (name, created, deleted,'
        " create_revision, prev_revision, lease, value) values"
        " ('/bootstrap/0123456789ab', 1, 0, 0, 0, 0, 'theirs')\""
    )
    done = product.apply()
    assert done.status != 0, done
    told = failure(done, f"{SERVERS[0]}/servers/datastore-login")
    assert "holds another cluster's data" in told
