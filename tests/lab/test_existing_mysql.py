"""A MariaDB that somebody else runs: there is no way in but its port."""

from __future__ import annotations

import pytest
import tomlkit

from . import handmade
from .lab import Lab
from .operators import changes, snapshot
from .product import Product
from .test_existing_datastore import (
    NAME,
    SERVERS,
    THEIR_ROW,
    elsewhere,
    instead,
    other_ca,
    password,
    planned,
    refused_from_each,
    setting,
)
from .wizard import next_step, wizard

PASSWORD = "p@ss:w/rd%1"
"""With all that could end a DSN's part too early."""

_MAKE = """
set -e; export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends mariadb-server >/dev/null 2>&1
for name in ca.crt server.crt server.key; do
    install -o mysql -m 0600 /root/pki/$name /etc/mysql/$name
done
cat >/etc/mysql/mariadb.conf.d/90-site.cnf <<'EOF'
[mysqld]
bind-address = 0.0.0.0
ssl_ca = /etc/mysql/ca.crt
ssl_cert = /etc/mysql/server.crt
ssl_key = /etc/mysql/server.key
EOF
systemctl restart mariadb
mariadb <<EOF
create database k3s;
create user k3s@'10.161.129.%' identified by '$PASSWORD' require x509;
grant create, index, select, insert, update on k3s.* to k3s@'10.161.129.%';
EOF
"""


def sql(product: Product, statement: str) -> str:
    return product.lab.host("postgres").sh(f'mariadb -N <<"EOF"\n{statement}\nEOF\n')


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    postgres = bare_hosts.host("postgres")
    handmade.make_certificates(bare_hosts)
    postgres.sh(f"PASSWORD='{PASSWORD}'\n{_MAKE}", within=180)
    postgres.sh("usermod --expiredate 1 ops; usermod --expiredate 1 opspw")
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    elsewhere(product)
    password(product, PASSWORD)
    document = tomlkit.parse(product.profile.read_text())
    document["datastore"]["engine"] = "mysql"
    product.profile.write_text(tomlkit.dumps(document))
    assert product.init().status == 0
    return product


def test_a_wrong_password_is_refused(product: Product) -> None:
    with instead(product.folder / "database-password", "not-this-one\n"):
        refused_from_each(product, "Access denied for user", "SQLSTATE 28000", "usual causes")


def test_another_ca_is_refused(product: Product) -> None:
    """It is told before a password is sent, and so is the name."""
    with instead(product.folder / "ca.crt", other_ca(product)):
        refused_from_each(
            product,
            f"the certificate of {NAME}:3306 (10.161.129.212) comes from another CA",
            "datastore.ca must be the CA",
        )


def test_another_name_is_refused(product: Product) -> None:
    with instead(product.profile, setting(product, hostname="db.example.org")):
        refused_from_each(product, "is not for the name db.example.org", "datastore.hostname must")


def test_what_is_in_it_already_is_refused(product: Product) -> None:
    sql(
        product,
        "create table k3s.kine (id int auto_increment primary key, name varchar(630), created int,"
        " deleted int, create_revision int, prev_revision int, lease int, value blob);"
        " insert into k3s.kine (name, created, deleted, create_revision, prev_revision, lease,"
        f" value) values {THEIR_ROW};",
    )
    try:
        refused_from_each(product, "holds another cluster's data")
    finally:
        sql(product, "drop table k3s.kine;")


def test_what_the_user_may_not_do_is_a_warning(product: Product) -> None:
    done = product.plan()
    for server in SERVERS:
        (event,) = done.of("planned", step=f"{server}/preflight/datastore-login")
        assert event["warning"] == "k3s may not do all that K3s does in database k3s: DELETE", done
    sql(product, "grant delete on k3s.* to k3s@'10.161.129.%';")


def test_the_wizard_tries_the_login_from_each_server(product: Product) -> None:
    """Before there is a plan, and with the password of the profile."""
    with wizard(product, product.profile.name) as tty:
        tty.until("1 Hosts]")
        for title in ("Certs", "Datastore"):
            next_step(tty, title)
        tty.press("C-p")
        tty.type("Try the login")
        tty.until("Try the login from every server")
        tty.press("Enter")
        told = tty.until(lambda screen: screen.count("let in, by TLSv1.3, from 10.161.129.") == 2)
        assert all(name in told for name in SERVERS)


def test_a_cluster_on_it(product: Product) -> None:
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == 0, done
    after = changes(before, snapshot(product.lab))
    assert not [change for change in after if change.startswith("postgres:/etc")], after
    for server in SERVERS:
        (event,) = done.of("step-done", step=f"{server}/servers/datastore-login")
        assert event["outcome"] == "ok" and not event["warning"], event
    assert int(sql(product, "select count(*) from k3s.kine where name like '/registry/%';")) > 3
    again = product.apply()
    assert again.status == 0, again
    assert not again.steps("changed"), again


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


def test_what_its_rules_let_in_is_a_warning(product: Product) -> None:
    sql(product, "alter user k3s@'10.161.129.%' require none;")
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


def test_data_that_another_cluster_has_put_there_since_is_refused(product: Product) -> None:
    sql(
        product,
        "insert into k3s.kine (name, created, deleted, create_revision, prev_revision, lease,"
        f" value) values {THEIR_ROW};",
    )
    done = product.apply()
    assert done.status == 5, done
    told = planned(done, f"{SERVERS[0]}/preflight/datastore-login")
    assert "holds another cluster's data" in told
