"""What a mode of the datastore demands, and what means nothing in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from k3s_tui.profile import save
from k3s_tui.profile.load import parse, read
from k3s_tui.profile.model import Profile
from k3s_tui.profile.problem import ProfileInvalid, ProfileProblem
from tests.unit.profile.documents import HOW_TO, TEXT, changed, position

EXISTING = """\
[datastore]
mode = "existing"
hostname = "db.example.org"
password = "store:datastore.password"
ca = "database-ca.pem"
"""
EMBEDDED = """\
[datastore]
mode = "embedded"
"""
THIRD = '[hosts.k3s-server-3]\naddress = "10.161.129.155"\nroles = ["server"]\n\n'


def without(text: str, table: str) -> str:
    """A table and what is said about it, taken out."""
    cut = re.sub(rf"(^#.*\n)*^\[{re.escape(table)}\]\n(?:(?!\[|#).*\n)*", "", text, flags=re.M)
    assert cut != text, table
    return cut


def mode(datastore: str, *more: str) -> str:
    """The how-to with another [datastore], and no host and no certificates for it."""
    text = TEXT
    for table in ("datastore", "hosts.postgres", "pki"):
        text = without(text, table)
    return text + "\n" + datastore + "".join(more)


def problems(text: str) -> list[ProfileProblem]:
    with pytest.raises(ProfileInvalid) as caught:
        parse(text, "x.toml")
    return caught.value.problems


def profile(text: str) -> Profile:
    return parse(text, "x.toml").profile


def test_an_existing_database_asks_for_a_name_a_password_and_a_ca() -> None:
    found = profile(mode(EXISTING))
    assert (found.datastore.port, found.datastore.engine) == (5432, "postgresql")
    assert not found.has_authority
    missing = problems(mode('[datastore]\nmode = "existing"\n'))
    assert [(p.code, p.where) for p in missing] == [
        ("missing-key", f"datastore.{key}") for key in ("hostname", "password", "ca")
    ]
    assert all(p.line and p.expected and p.help for p in missing)


def test_mysql_has_a_port_of_its_own() -> None:
    assert profile(mode(EXISTING, 'engine = "mysql"\n')).datastore.port == 3306
    assert profile(mode(EXISTING, 'engine = "mysql"\nport = 3307\n')).datastore.port == 3307


def test_embedded_asks_for_nothing() -> None:
    found = profile(mode(EMBEDDED, "\n", THIRD))
    assert set(found.secret_refs) == {"ssh.sudo-password", "k3s.token", "k3s.agent-token"}


@pytest.mark.parametrize("also", ["", '\n[hosts.k3s-server-4]\naddress = "s4"\nroles = ["server"]'])
def test_etcd_wants_an_odd_number_of_servers(also: str) -> None:
    text = mode(EMBEDDED, "\n", THIRD if also else "", also)
    (problem,) = problems(text)
    assert problem.code == "even-servers"
    assert f"there are {4 if also else 2}" in problem.message


def test_one_server_on_etcd_is_a_warning() -> None:
    loaded = parse(without(mode(EMBEDDED), "hosts.k3s-server-2"), "x.toml")
    assert [warning.code for warning in loaded.warnings] == ["one-server"]


@pytest.mark.parametrize(
    ("datastore", "given"),
    [
        (EMBEDDED, 'hostname = "db.example.org"'),
        (EMBEDDED, "port = 5432"),
        (EMBEDDED, 'hosts-entry = "auto"'),
        (EMBEDDED, 'database = "k3s"'),
        (EMBEDDED, 'user = "k3s"'),
        (EMBEDDED, 'password = "store:datastore.password"'),
        (EMBEDDED, 'engine = "postgresql"'),
        (EMBEDDED, 'ca = "ca.pem"'),
        (EXISTING, 'address = "10.0.0.1"\nhosts-entry = "never"'),
        (EMBEDDED, "[pki]"),
        (EXISTING, "[pki]"),
    ],
)
def test_what_means_nothing_is_told_where_it_stands(datastore: str, given: str) -> None:
    """The default, too: nobody is to believe that it does something."""
    text = mode(datastore, given, "\n", THIRD if datastore == EMBEDDED else "")
    (problem,) = problems(text)
    assert (problem.code, problem.help != "") == ("needless-setting", True)
    assert (problem.line, problem.column) == position(text, given.splitlines()[0].lstrip("["))


@pytest.mark.parametrize("address", ["10.0.0.9", "fd00::9", "1::"])
def test_an_existing_database_may_be_known_by_its_address(address: str) -> None:
    text = EXISTING.replace("db.example.org", address)
    assert profile(mode(text)).datastore.hostname == address
    (problem,) = problems(mode(text, 'address = "10.0.0.9"\n'))
    assert (problem.code, problem.where) == ("needless-setting", "datastore.address")


@pytest.mark.parametrize("name", ["10.0.0.256", "10.0.0", "fd00::9::1", "fd00::g", "[fd00::9]"])
def test_what_is_neither_a_name_nor_an_address(name: str) -> None:
    (problem,) = problems(mode(EXISTING.replace("db.example.org", name)))
    assert (problem.code, problem.where) == ("bad-dns-name", "datastore.hostname")


@pytest.mark.parametrize("key", ["engine", "address", "client-certificate", "client-key"])
def test_what_is_somebody_elses_means_nothing_for_ours(key: str) -> None:
    value = "postgresql" if key == "engine" else "x"
    text = changed(('database = "k3s"\n', f'database = "k3s"\n{key} = "{value}"\n'))
    (problem,) = problems(text)
    assert (problem.code, problem.where) == ("needless-setting", f"datastore.{key}")


@pytest.mark.parametrize(
    ("given", "code", "where"),
    [
        ('cluster = "own"', "missing-key", "datastore.port"),
        ('cluster = "own"\nport = 5433\nca = "x.pem"', "needless-setting", "datastore.ca"),
    ],
)
def test_a_cluster_of_its_own_needs_a_port(given: str, code: str, where: str) -> None:
    (problem,) = problems(changed(('database = "k3s"\n', f'database = "k3s"\n{given}\n')))
    assert (problem.code, problem.where) == (code, where)
    text = changed(('database = "k3s"\n', 'database = "k3s"\ncluster = "own"\nport = 5433\n'))
    assert profile(text).datastore.cluster == "own"


@pytest.mark.parametrize("datastore", [EXISTING, EMBEDDED])
def test_a_host_for_a_datastore_that_is_not_ours(datastore: str) -> None:
    host = '[hosts.db]\naddress = "10.9.9.9"\nroles = ["datastore"]\n'
    (problem,) = problems(mode(datastore, "\n", THIRD if datastore == EMBEDDED else "", host))
    assert (problem.code, problem.where) == ("needless-role", "hosts.db.roles[0]")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ('client-certificate = "c.pem"', "datastore.client-key"),
        ('client-key = "c.key"', "datastore.client-certificate"),
    ],
)
def test_a_certificate_and_its_key_come_together(given: str, where: str) -> None:
    (problem,) = problems(mode(EXISTING, given))
    assert (problem.code, problem.where) == ("missing-key", where)


def test_an_entry_of_etc_hosts_is_an_ip_address() -> None:
    (problem,) = problems(mode(EXISTING, 'address = "db.example.net"'))
    assert (problem.code, problem.where) == ("bad-address", "datastore.address")


@pytest.mark.parametrize(
    ("engine", "given", "right"),
    [
        ("postgresql", 'user = "postgres"', False),
        ("postgresql", 'database = "pg_x"', False),
        ("postgresql", 'user = "root"', True),
        ("mysql", 'user = "root"', False),
        ("mysql", 'database = "mysql"', False),
        ("mysql", 'user = "postgres"', True),
    ],
)
def test_names_that_are_the_databases_own(engine: str, given: str, right: bool) -> None:
    text = mode(EXISTING, f'engine = "{engine}"\n{given}\n')
    if right:
        assert profile(text)
    else:
        assert [problem.code for problem in problems(text)] == ["bad-database-name"]


def test_options_of_etcd_have_no_effect_without_it() -> None:
    option = ("[k3s.server-config]\n", "[k3s.server-config]\netcd-snapshot-retention = 3\n")
    loaded = parse(changed(option), "x.toml")
    assert [warning.code for warning in loaded.warnings] == ["needless-option"]
    three = mode(EMBEDDED, "\n", THIRD).replace(*option)
    assert not parse(three, "x.toml").warnings


@pytest.mark.parametrize("name", ["existing-postgresql", "existing-mysql", "embedded"])
def test_each_example_can_be_written_anew(name: str, tmp_path: Path) -> None:
    """What a new file says of it is what means something."""
    loaded = read(HOW_TO.with_name(f"{name}.toml"))
    assert not loaded.warnings
    path = tmp_path / "new.toml"
    save.save(path, loaded.profile)
    assert read(path).profile == loaded.profile
