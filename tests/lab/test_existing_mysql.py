"""A MariaDB that somebody else runs: there is no way in but its port."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomlkit

from . import handmade
from .lab import Lab
from .operators import changes, snapshot
from .product import Product
from .test_existing_datastore import NAME, SERVERS, elsewhere, failure, password

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
    document = tomlkit.parse(product.profile.read_text())
    document["datastore"]["engine"] = "mysql"
    product.profile.write_text(tomlkit.dumps(document))
    assert product.init().status == 0
    return product


def test_what_is_wrong_stops_before_anything_is_installed(product: Product) -> None:
    password(product, "not-this-one")
    done = product.apply()
    assert done.status == 1, done
    for server in SERVERS:
        told = failure(done, f"{server}/servers/datastore-login")
        assert "Access denied for user" in told
        assert "SQLSTATE 28000" in told and "usual causes" in told
        assert not product.lab.host(server).sh("ls /etc/systemd/system/k3s.service || :").strip()
    password(product, PASSWORD)


def test_what_the_user_may_not_do_is_a_warning(product: Product) -> None:
    done = product.apply("--only", "*/servers/datastore-login")
    for server in SERVERS:
        (event,) = done.of("step-done", step=f"{server}/servers/datastore-login")
        assert event["warning"] == "k3s may not do all that K3s does in database k3s: DELETE", done
    sql(product, "grant delete on k3s.* to k3s@'10.161.129.%';")


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
            (event,) = done.of("step-done", step=f"{server}/verification/refuses-{kind}")
            assert event["outcome"] == "ok" and not event["warning"], event


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


def test_another_name_and_another_ca(product: Product, tmp_path: Path) -> None:
    """Both are told before a password is sent."""
    ca = product.folder / "ca.crt"
    right = ca.read_text()
    product.lab.host("postgres").sh(
        "cd /root/pki; openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -days 9"
        " -subj /CN=other -out other.crt 2>/dev/null"
    )
    ca.write_text(product.lab.host("postgres").sh("cat /root/pki/other.crt"))
    try:
        done = product.run("verify", product.profile, "--json")
    finally:
        ca.write_text(right)
    assert done.status == 6, done
    told = failure(done, f"{SERVERS[0]}/verification/datastore-login")
    assert f"the certificate of {NAME}:3306 comes from another CA" in told


def test_another_clusters_data_is_refused(product: Product) -> None:
    sql(
        product,
        "insert into k3s.kine (name, created, deleted, create_revision, prev_revision, lease,"
        " value) values ('/bootstrap/0123456789ab', 1, 0, 0, 0, 0, 'theirs');",
    )
    done = product.apply()
    assert done.status != 0, done
    told = failure(done, f"{SERVERS[0]}/servers/datastore-login")
    assert "holds another cluster's data" in told
