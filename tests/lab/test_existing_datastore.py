"""A PostgreSQL that somebody else runs: there is no way in but its port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomlkit

from . import handmade
from .lab import Lab
from .operators import changes, snapshot
from .product import Done, Product

SERVERS = ("k3s-server-1", "k3s-server-2")
NAME = "postgres.rancher.rke2"
ADDRESS = "10.161.129.212"


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
        "address": ADDRESS,
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


def planned(done: Done, step: str) -> str:
    """What the plan says of a step that it refuses."""
    (event,) = done.of("planned", step=step)
    assert event["verdict"] == "problem", event
    return f"{event['summary']}\n{event['hint']}"


def refused_from_each(product: Product, *says: str) -> None:
    """The login fails from every server, and no host is touched.

    A database writes when somebody logs in: its own files are not looked at.
    """
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == 5, done
    touched = changes(before, snapshot(product.lab))
    assert not [c for c in touched if not c.startswith("postgres:/var/lib/")], touched
    assert "\ntry: " in done.err and not done.of("step-done"), done
    for server in SERVERS:
        told = planned(done, f"{server}/preflight/datastore-login")
        for words in says:
            assert words in told, done


@contextmanager
def instead(file: Path, text: str) -> Iterator[None]:
    before = file.read_text()
    file.write_text(text)
    try:
        yield
    finally:
        file.write_text(before)


def setting(product: Product, **settings: str | None) -> str:
    """The profile with other settings of the datastore; None takes one out."""
    document = tomlkit.parse(product.profile.read_text())
    for key, value in settings.items():
        name = key.replace("_", "-")
        if value is None:
            del document["datastore"][name]
        else:
            document["datastore"][name] = value
    return tomlkit.dumps(document)


def other_ca(product: Product) -> str:
    """Of the same kind, and not the database's."""
    return product.lab.host("postgres").sh(
        """
        set -e; cd /root/pki
        [ -e other.crt ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -days 9 \
            -subj /CN=other -out other.crt 2>/dev/null
        cat other.crt
        """
    )


THEIR_ROW = "('/bootstrap/0123456789ab', 1, 0, 0, 0, 0, 'theirs')"


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    handmade.make_datastore(bare_hosts)
    bare_hosts.host("postgres").sh("usermod --expiredate 1 ops; usermod --expiredate 1 opspw")
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    elsewhere(product)
    assert product.init().status == 0
    return product


def test_a_wrong_password_is_refused(product: Product) -> None:
    with instead(product.folder / "database-password", "not-this-one\n"):
        refused_from_each(
            product, "password authentication failed", "SQLSTATE 28P01", "usual causes"
        )


def test_another_ca_is_refused(product: Product) -> None:
    with instead(product.folder / "ca.crt", other_ca(product)):
        refused_from_each(
            product,
            f"the certificate of {NAME}:5432 (10.161.129.212) comes from another CA",
            "datastore.ca must be the CA",
        )


def test_another_name_is_refused(product: Product) -> None:
    with instead(product.profile, setting(product, hostname="db.example.org")):
        refused_from_each(product, "is not for the name db.example.org", "datastore.hostname must")


def test_a_name_that_nobody_knows_is_refused(product: Product) -> None:
    with instead(product.profile, setting(product, address=None)):
        refused_from_each(product, f"the name {NAME} does not resolve", "give datastore.address")


def test_it_may_be_known_by_its_address(product: Product) -> None:
    """Which its certificate names, too."""
    with instead(product.profile, setting(product, hostname="10.161.129.212", address=None)):
        plan = product.plan()
    assert plan.status == 0, plan
    for server in SERVERS:
        (event,) = plan.of("planned", step=f"{server}/preflight/datastore-login")
        assert event["verdict"] == "ok" and not event["warning"], event
        assert not plan.of("planned", step=f"{server}/servers/hosts-entry")


def test_a_name_that_a_dns_knows_is_not_pinned(product: Product) -> None:
    product.lab.resolve(**{NAME: ADDRESS})
    done = product.apply()
    assert done.status == 5, done
    for server in SERVERS:
        told = planned(done, f"{server}/preflight/datastore-name")
        assert f"the DNS knows {NAME} ({ADDRESS})" in told and 'hosts-entry = "never"' in told
    product.lab.resolve()


def test_without_the_certificate_that_its_rules_want_it_is_refused(product: Product) -> None:
    with instead(product.profile, setting(product, client_certificate=None, client_key=None)):
        refused_from_each(product, "got no client certificate", "give datastore.client-certificate")


def test_what_is_in_it_already_is_refused(product: Product) -> None:
    sql = product.lab.host("postgres")
    sql.sh(
        "runuser -u postgres -- psql -q k3s <<'EOF'\nset role k3s;\n"
        "create table kine (id bigserial primary key, name text, created int, deleted int,"
        " create_revision int, prev_revision int, lease int, value bytea);\n"
        f"insert into kine (name, created, deleted, create_revision, prev_revision, lease, value)"
        f" values {THEIR_ROW};\nEOF\n"
    )
    try:
        refused_from_each(product, "holds another cluster's data")
    finally:
        sql.sh('runuser -u postgres -- psql -q k3s -c "drop table kine"')


def test_a_cluster_on_it(product: Product) -> None:
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == 0, done
    after = changes(before, snapshot(product.lab))
    assert not [change for change in after if change.startswith("postgres:/etc")], after
    for chapter in ("preflight", "servers"):  # at its address, and by its name
        assert {f"{name}/{chapter}/datastore-login" for name in SERVERS} <= done.steps("ok")
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
            if kind == "wrong-password" and server != SERVERS[0]:
                continue  # such logins may be counted, and lock the user out
            (event,) = done.of("step-done", step=f"{server}/verification/refuses-{kind}")
            assert event["outcome"] == "ok" and not event["warning"], event
    assert len([e for e in done.of("step-done") if "refuses-wrong-password" in e["step"]]) == 1


def test_a_dns_takes_the_name_over_and_it_moves(product: Product) -> None:
    """What an earlier run has pinned goes, once a DNS knows the name; a failover is followed."""
    product.profile.write_text(setting(product, address=None, hosts_entry="never"))
    done = product.apply()
    assert done.status == 5, done
    for server in SERVERS:
        assert f"no DNS knows {NAME}" in planned(done, f"{server}/preflight/datastore-name")
    product.lab.resolve(**{NAME: ADDRESS})
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == 0, done
    assert done.steps("changed") == {f"{server}/servers/hosts-entry" for server in SERVERS}
    touched = {at for at in changes(before, snapshot(product.lab)) if ":/etc/" in at}
    assert touched == {f"{server}:/etc/hosts" for server in SERVERS}

    elsewhere = "10.161.129.213"
    postgres = product.lab.host("postgres")
    postgres.sh(f"ip address add {elsewhere}/24 dev eth0")
    product.lab.resolve(**{NAME: elsewhere})
    done = product.run("verify", product.profile, "--json")
    assert done.status == 0, done
    for server in SERVERS:
        assert product.lab.host(server).sh(f"getent hosts {NAME}").split()[0] == elsewhere
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again


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


def test_without_a_client_certificate(product: Product) -> None:
    """As where the rules ask for a password alone: the servers lose their files, and go on."""
    product.lab.host("postgres").sh(
        """
        cd /etc/postgresql/15/main
        sed -i '1i hostssl k3s k3s 10.161.129.0/24 scram-sha-256' pg_hba.conf
        systemctl reload postgresql
        """
    )
    product.profile.write_text(setting(product, client_certificate=None, client_key=None))
    done = product.apply()
    assert done.status == 0, done
    for server in SERVERS:
        config = product.lab.host(server).sh("cat /etc/rancher/k3s/config.yaml")
        assert "datastore-cafile" in config and "datastore-certfile" not in config
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again
    done = product.run("verify", product.profile, "--json")
    assert done.status == 0, done
    assert not [e for e in done.of("step-done") if "refuses-no-certificate" in e["step"]]


def test_data_that_another_cluster_has_put_there_since_is_refused(product: Product) -> None:
    product.lab.host("postgres").sh(
        "runuser -u postgres -- psql -q k3s <<'EOF'\n"
        "insert into kine (name, created, deleted, create_revision, prev_revision, lease, value)"
        f" values {THEIR_ROW};\nEOF\n"
    )
    done = product.apply()
    assert done.status == 5, done
    told = planned(done, f"{SERVERS[0]}/preflight/datastore-login")
    assert "holds another cluster's data" in told
