"""A datastore's host whose PostgreSQL serves others already."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import tomlkit

from . import shared_postgres as theirs
from .lab import Lab
from .operators import Snapshot, changes, snapshot
from .product import Done, Product
from .test_interruption import running
from .wizard import to_review, wizard

NODES = {"k3s-agent", "k3s-server-1", "k3s-server-2"}
SERVERS = ("k3s-server-1", "k3s-server-2")
CONF = theirs.CONF
KEPT = ["kept", "kept", "kept"]


def datastore(product: Product, **settings: object) -> None:
    """Set these of [datastore], and no others of those that a test sets."""
    document = tomlkit.parse(product.profile.read_text())
    section = document["datastore"]
    assert isinstance(section, dict)
    for key in ("ca", "cluster", "port"):
        section.pop(key, None)
    section.update(settings)
    product.profile.write_text(tomlkit.dumps(document))


def files(lab: Lab) -> Snapshot:
    """Without the data, in which the wiki is at work."""
    found = snapshot(lab)
    found["postgres"] = {
        path: info
        for path, info in found["postgres"].items()
        if not path.startswith("/var/lib/postgresql/")
    }
    return found


def stops(product: Product, *says: str) -> Done:
    """Apply, which must be refused and say these, and leave files, roles and databases alone."""
    catalog = "select rolname, rolpassword from pg_authid;\nselect datname, datdba from pg_database"
    before, known = files(product.lab), theirs.sql(product.lab, catalog)
    done = product.apply()
    assert done.status == 5, done
    assert not changes(before, files(product.lab)), done
    assert theirs.sql(product.lab, catalog) == known
    for text in ("error: ", "try: ", *says):
        assert text in done.err, done
    return done


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    theirs.make(bare_hosts)
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    assert product.init().status == 0
    ca = bare_hosts.host("postgres").sh("cat /root/theirs/site-ca.crt")
    (product.folder / "site-ca.crt").write_text(ca)
    return product


@contextmanager
def connected(product: Product) -> Iterator[Callable[[], int]]:
    """A session of the shop's, open meanwhile; yields what counts such sessions."""
    host = product.lab.host("postgres")
    host.sh(
        f"""
        mkfifo /run/shop.in
        setsid sh -c '(exec 9<>/run/shop.in; psql -XAtq "{theirs.PASSWORD_CLIENT}" <&9)' \\
            >/dev/null 2>&1 </dev/null &
        echo 'select 1;' >/run/shop.in
        """
    )

    def count() -> int:
        query = "select count(*) from pg_stat_activity where usename = 'shop'"
        return int(theirs.sql(product.lab, query))

    until(lambda: count() == 1)
    try:
        yield count
    finally:
        host.sh("echo '\\q' >/run/shop.in; rm -f /run/shop.in")
        until(lambda: count() == 0)


@contextmanager
def held(lab: Lab) -> Iterator[Callable[[], str]]:
    """A plan stops where PostgreSQL's key is looked at, after its sessions; yields what goes on."""
    host = lab.host("postgres")
    host.sh(
        """
        : >/run/held
        cat >/usr/local/bin/openssl <<'SHIM'
#!/bin/sh
if [ "$1" = pkey ] && [ -e /run/held ]; then
    : >/run/holding
    while [ -e /run/held ]; do sleep 0.1; done
fi
exec /usr/bin/openssl "$@"
SHIM
        chmod 755 /usr/local/bin/openssl
        """
    )
    try:
        yield partial(host.sh, "rm /run/held")
    finally:
        host.sh("rm -f /run/held /run/holding /usr/local/bin/openssl")


def works(product: Product) -> None:
    """It is a cluster whose nodes are all Ready, proves it, and needs nothing more."""
    told = product.lab.host(SERVERS[0]).sh("k3s kubectl get nodes -o json")
    ready = {
        node["metadata"]["name"]
        for node in json.loads(told)["items"]
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    assert ready == NODES, told
    proved = product.run("verify", product.profile, "--json")
    assert proved.status == 0, proved
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline


def test_a_ca_that_nobody_knows_is_asked_for(product: Product) -> None:
    assert theirs.clients_say(product.lab) == KEPT
    stops(product, "CN=site-ca", "datastore", 'ca = "FILE.pem"', 'cluster = "own"')


def test_a_certificate_for_another_name(product: Product) -> None:
    datastore(product, ca="site-ca.crt")
    theirs.configured(
        product.lab, f"ssl_cert_file = '{CONF}/other.crt'", f"ssl_key_file = '{CONF}/other.key'"
    )
    stops(product, "does not name DNS:postgres.rancher.rke2", "port = 5433")
    theirs.configured(product.lab)


def test_a_revocation_list_of_theirs(product: Product) -> None:
    theirs.revoke_nobody(product.lab)
    stops(product, "ssl_crl_file", "revocation list", 'cluster = "own"')
    theirs.configured(product.lab)


def test_a_role_that_is_somebody_elses(product: Product) -> None:
    theirs.sql(product.lab, "create role k3s; create database ledger owner k3s")
    stops(product, "role k3s owns ledger")
    theirs.sql(product.lab, "drop database ledger;\ndrop role k3s")


def test_a_role_that_others_use(product: Product) -> None:
    """As the K3s of others has it, whose database was made with `grant all`."""
    theirs.sql(
        product.lab,
        "create role k3s login;\ncreate database kubernetes;\n"
        "grant all on database kubernetes to k3s",
    )
    stops(product, "role k3s owns or was granted something in database kubernetes")
    theirs.sql(product.lab, "drop database kubernetes;\ndrop role k3s")


def test_a_database_with_a_tenant(product: Product) -> None:
    """`postgres` owns it, as it owns one that was made for K3s beforehand."""
    theirs.sql(product.lab, "create database k3s;\n\\c k3s\ncreate table invoice ()")
    stops(product, "database k3s holds what K3s has not made: public.invoice")
    theirs.sql(product.lab, "drop database k3s")


def test_what_no_run_could_mend(product: Product) -> None:
    """Seen before anything is touched, not in the middle."""
    datastore(product, ca="site-ca.crt")
    theirs.sql(product.lab, "alter system set ssl_ca_file = ''")
    stops(product, "ALTER SYSTEM has set ssl_ca_file", "postgres/preflight/settings")
    theirs.sql(product.lab, "alter system reset ssl_ca_file")
    host = product.lab.host("postgres")
    host.sh(f"cp -p {CONF}/pg_hba.conf /root/hba; echo 'host nonsense' >>{CONF}/pg_hba.conf")
    stops(product, "postgres/preflight/access", "PostgreSQL ignores the whole file")
    host.sh(f"cat /root/hba >{CONF}/pg_hba.conf")
    host.sh(f"chmod 0644 {CONF}/server.key")
    stops(product, "postgres/preflight/server-key", "must be 0600 of postgres")
    host.sh(f"chmod 0600 {CONF}/server.key")


def test_a_restart_under_sessions_wants_to_be_allowed(product: Product) -> None:
    datastore(product, ca="site-ca.crt")
    with connected(product):
        stops(product, "1 session of shop from 127.0.0.1 in database wiki", "--allow-restart")
        plan = product.plan("--allow-restart")
        assert plan.status == 0, plan
        (line,) = plan.of("planned", step="postgres/preflight/restart")
        assert "1 session of shop" in line["warning"], line


def test_the_wizard_lets_them_end_only_when_told(product: Product) -> None:
    with connected(product) as sessions, wizard(product, product.profile.name) as tty:
        to_review(tty)
        tty.press("Enter")
        tty.until("Passphrase of")
        tty.type(product.passphrase.read_text().strip())
        tty.press("Enter")
        tty.until("stands against it")
        assert "lab.toml --allow-restart" not in tty.screen
        tty.until("[ ] PostgreSQL may restart, and end those sessions")
        tty.press("BTab", "Space")
        tty.until("[x] PostgreSQL may restart")
        tty.until("to change")
        tty.until("lab.toml --allow-restart")
        tty.press("C-q")
        assert tty.exit_status() == 0
        assert sessions() == 1


def test_client_cas_that_cannot_be_taken_over(product: Product) -> None:
    host = product.lab.host("postgres")
    host.sh(
        f"cp -p {CONF}/asking.pem /root/asking && head -c 1000000 /dev/zero >>{CONF}/asking.pem"
    )
    stops(product, f"{CONF}/asking.pem, by which it knows its clients", 'cluster = "own"')
    host.sh(f"cat /root/asking >{CONF}/asking.pem")


def test_a_second_cluster_beside_it(product: Product) -> None:
    datastore(product, cluster="own", port=5432)
    stops(product, "belongs to another PostgreSQL cluster, /var/lib/postgresql/15/main")
    datastore(product, cluster="own", port=5433)
    assert theirs.clients_say(product.lab) == KEPT
    before = files(product.lab)
    with connected(product) as sessions:
        done = product.apply()
        assert done.status == 0, done
        assert sessions() == 1
    theirs_now = [at for at in changes(before, files(product.lab)) if f":{theirs.CONF}/" in at]
    assert not theirs_now
    assert theirs.clients_say(product.lab) == KEPT
    listed = product.lab.host("postgres").sh("pg_lsclusters -h | cut -d ' ' -f 1-6")
    assert [line.split()[1:4] for line in listed.splitlines()] == [
        ["k3s", "5433", "online"],
        ["main", "5432", "online"],
    ]
    assert "k3s" not in theirs.sql(product.lab, "select datname from pg_database")
    works(product)
    product.lab.fresh("k3s-server-1", "k3s-server-2", "k3s-agent", "nginx")


CATALOG = """
select rolname, rolpassword, rolsuper, rolcanlogin, rolcreatedb, rolcreaterole, rolconfig
    from pg_authid join pg_roles using (oid, rolname, rolsuper, rolcanlogin, rolcreatedb,
    rolcreaterole) where rolname <> 'k3s' order by 1;
select datname, pg_get_userbyid(datdba), datacl from pg_database where datname <> 'k3s' order by 1;
select member::regrole, roleid::regrole from pg_auth_members order by 1, 2;
\\c wiki
select relname, pg_get_userbyid(relowner), relacl from pg_class
    where relnamespace = 'public'::regnamespace order by 1;
"""


def settings(lab: Lab) -> dict[str, str]:
    told = theirs.sql(lab, "select name, setting from pg_settings order by 1")
    return dict(line.partition("|")[::2] for line in told.splitlines() if "|" in line)


def test_a_session_that_comes_after_the_look_does_not_end(product: Product) -> None:
    """Nobody was connected when the plan was made; the run has begun since."""
    datastore(product, ca="site-ca.crt")
    started = theirs.sql(product.lab, "select pg_postmaster_start_time()")
    with held(product.lab) as go_on, running(product) as run:
        until(lambda: product.lab.host("postgres").sh("ls /run").count("holding") == 1)
        with connected(product) as sessions:
            go_on()
            ended = run.ended(120)
            assert sessions() == 1
    assert ended.status == 1, ended
    (line,) = ended.of("planned", step="postgres/preflight/restart")
    assert "it serves wiki, where nobody is connected now" in line["warning"], line
    (event,) = ended.of("step-done", step="postgres/datastore/settings")
    assert event["error"].endswith("that ends 1 session of shop from 127.0.0.1 in database wiki")
    assert event["hint"] == "k3s-tui apply --allow-restart, when they may end"
    assert theirs.sql(product.lab, "select pg_postmaster_start_time()") == started
    assert theirs.clients_say(product.lab) == KEPT
    shown = "show listen_addresses;\nshow ssl_ca_file"
    assert theirs.sql(product.lab, shown).splitlines() == ["localhost", f"{CONF}/asking.pem"]
    drop_in = f"ls {CONF}/conf.d"
    assert product.lab.host("postgres").sh(drop_in).split() == ["site.conf", "site2.conf"]


def test_it_becomes_a_clusters_datastore_and_stays_theirs(product: Product) -> None:
    """Restarted under one of their sessions, which was allowed to end."""
    datastore(product, ca="site-ca.crt")
    host = product.lab.host("postgres")
    before = snapshot(product.lab)
    rules = host.sh(f"cat {CONF}/pg_hba.conf")
    known, said = theirs.sql(product.lab, CATALOG), settings(product.lab)
    started = theirs.sql(product.lab, "select pg_postmaster_start_time()")
    with connected(product) as sessions:
        done = product.apply("--allow-restart")
        assert done.status == 0, done
        assert sessions() == 0
    (line,) = done.of("planned", step="postgres/preflight/restart")
    assert "1 session of shop from 127.0.0.1 in database wiki" in line["warning"], line
    assert theirs.sql(product.lab, "select pg_postmaster_start_time()") != started
    assert theirs.clients_say(product.lab) == KEPT
    assert theirs.sql(product.lab, CATALOG) == known
    now = settings(product.lab)
    assert {name for name in now if now[name] != said[name]} == {"listen_addresses", "ssl_ca_file"}
    changed = [name for name in changes(before, snapshot(product.lab)) if f":{CONF}/" in name]
    assert {name.rpartition("/")[2] for name in changed} == {
        "90-k3s-tui.conf",
        "pg_hba.conf",
        "pg_hba.conf.k3s-tui.orig",
        "postgresql.conf.k3s-tui.orig",
        "postgresql.conf",
    }, changed
    assert host.sh(f"cat {CONF}/pg_hba.conf").endswith(rules)
    shown = theirs.sql(
        product.lab, "show ssl_cert_file;\nshow password_encryption;\nshow listen_addresses"
    )
    assert shown.splitlines() == [f"{CONF}/server.crt", "md5", "localhost, 10.161.129.212"]
    for server in SERVERS:
        ca = product.lab.host(server).sh("cat /etc/k3s-tui/datastore/ca.crt")
        assert ca == (product.folder / "site-ca.crt").read_text()
    bundle = host.sh("cat /etc/k3s-tui/postgresql/ca.crt")
    assert host.sh("cat /root/theirs/clients-ca.crt") in bundle
    assert bundle.startswith(host.sh(f"cat {CONF}/asking.pem"))
    assert bundle.count("BEGIN CERTIFICATE") == 2 and bundle.count("BEGIN TRUSTED") == 1
    with connected(product):  # there is nothing to restart any more
        again = product.apply()
    assert again.status == 0, again
    assert not again.steps("changed"), again


def test_while_it_stands_still_nothing_is_overwritten(product: Product) -> None:
    """Nobody could say that it is theirs: their clients' CA would be gone from the bundle."""
    host = product.lab.host("postgres")
    host.sh("systemctl stop postgresql@15-main")
    before = files(product.lab)
    done = product.apply()
    assert done.status == 5, done
    assert "a PostgreSQL of others in /var/lib/postgresql/15/main" in done.err, done
    assert not [at for at in changes(before, files(product.lab)) if "k3s-tui/" in at], done
    host.sh("systemctl start postgresql@15-main")
    until(lambda: theirs.clients_say(product.lab) == KEPT)
    again = product.apply()
    assert again.status == 0, again
