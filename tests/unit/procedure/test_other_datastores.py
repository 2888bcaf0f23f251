"""What the plan holds, and what it does not, where the datastore is not ours."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from k3s_tui.core.contract import LAPTOP, Problem, Step
from k3s_tui.core.errors import CredentialsError
from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.pki.authority import KeyPair
from k3s_tui.procedure import certificates, cluster, database_files, weaknesses, written
from k3s_tui.procedure.database_files import DatabaseFiles
from k3s_tui.procedure.embedded import founder
from k3s_tui.procedure.site import Site
from k3s_tui.profile.load import read
from k3s_tui.profile.model import Profile
from k3s_tui.resources.block import Block
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.members import EtcdMembers
from k3s_tui.resources.k3s.unchanged import _of_endpoint
from k3s_tui.resources.mysql.diagnosis import kind_of
from k3s_tui.resources.mysql.proof import MysqlProof, MysqlRefusal
from k3s_tui.resources.postgres.diagnosis import Kind
from k3s_tui.resources.postgres.elsewhere import ElsewhereProof, RefusalThere
from k3s_tui.resources.postgres.login import Login, Outcome
from k3s_tui.resources.postgres.ownership import bootstrap_key
from k3s_tui.resources.postgres.proof import Refusal
from k3s_tui.resources.unpinned import InDns, NotInDns
from tests.unit.hands import LocalHands
from tests.unit.procedure.sites import CREDENTIALS, changed, site

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
PAIR = KeyPair(Secret("key"), "certificate")


def example(name: str) -> Profile:
    return read(EXAMPLES / f"{name}.toml").profile


def on_theirs(profile: Profile, pair: KeyPair | None = None) -> Site:
    return dataclasses.replace(site(profile), database_files=DatabaseFiles("ca", pair))


def steps(where: Site) -> set[str]:
    return {step.id for step in (*cluster.build(where), *cluster.prove(where))}


def entries(where: Site) -> set[str]:
    """What is to stand in the servers' /etc/hosts."""
    return {step.ensure.body for step in cluster.build(where) if isinstance(step.ensure, Block)}


@pytest.mark.parametrize("name", ["existing-postgresql", "existing-mysql", "embedded"])
def test_nothing_of_ours_is_planned(name: str) -> None:
    profile = example(name)
    found = steps(on_theirs(profile))
    assert not [step for step in found if "/datastore/" in step]
    assert not [step for step in found if "refuses-wrong-cn" in step or "tls-sessions" in step]
    assert certificates.expected(profile, datetime.now(UTC)) == ()
    assert list(written.on_datastore(profile)) == []


def test_a_login_is_proved_from_every_server() -> None:
    profile = example("existing-postgresql")
    found = steps(on_theirs(profile, PAIR))
    for name in profile.servers:
        assert f"{name}/preflight/datastore-login" in found
        assert f"{name}/servers/datastore-login" not in found  # it would be the same again
        assert f"{name}/servers/datastore-key" in found
        assert f"{name}/verification/refuses-plain-tcp" in found
        assert f"{name}/verification/refuses-other-ca" in found
    assert entries(on_theirs(profile)) == {""}  # a DNS knows it


def test_without_a_certificate_its_refusals_are_not_tried() -> None:
    found = steps(on_theirs(example("existing-postgresql")))
    assert not [step for step in found if "refuses-no-certificate" in step or "other-ca" in step]


@pytest.mark.parametrize("name", ["existing-postgresql", "existing-mysql"])
def test_one_server_alone_tries_a_wrong_password(name: str) -> None:
    """It is K3s's own user: whoever counts such logins would lock the cluster out."""
    profile = example(name)
    assert len(profile.servers) > 1
    tried = [step for step in steps(on_theirs(profile, PAIR)) if "refuses-wrong-password" in step]
    assert tried == [f"{next(iter(profile.servers))}/verification/refuses-wrong-password"]


@pytest.mark.parametrize(("name", "hint"), [
    ("existing-postgresql", "have the database's operator set a longer one"),
    ("existing-mysql", "have the database's operator set a longer one"),
    ("how-to", "take a longer one"),
])  # fmt: skip
def test_a_password_that_is_too_short_to_be_masked_is_told(name: str, hint: str) -> None:
    where = on_theirs(example(name))
    step_id = "laptop/preflight/datastore-password"
    for password, told in (("k3s-1", True), ("k3s-12", False)):
        redact = Redactor([Secret(password)])
        assert (redact(f"said {password}") == f"said {password}") == told
        own = dataclasses.replace(CREDENTIALS, datastore_password=Secret(password))
        built = cluster.build(dataclasses.replace(where, credentials=own))
        found = [step for step in built if step.host == LAPTOP and "/preflight/" in step.id]
        assert [step.id for step in found] == ([step_id] if told else [])
        for step in found:
            assert not callable(step.ensure)
            problem = step.ensure.diff("looked at")
            assert isinstance(problem, Problem) and problem.warning
            assert "fewer than 6 characters" in problem.text and password not in problem.text
            assert hint in problem.hint


def test_no_password_is_no_short_one() -> None:
    own = dataclasses.replace(CREDENTIALS, datastore_password=Secret(""), token=Secret("a b"))
    where = dataclasses.replace(on_theirs(example("embedded")), credentials=own)
    found = [step.id for step in cluster.build(where) if step.id.startswith("laptop/preflight")]
    assert found == ["laptop/preflight/k3s-token"]


def test_a_name_is_pinned_only_where_no_dns_knows_it() -> None:
    profile = changed(example("existing-postgresql"), datastore={"address": "10.0.0.9"})
    built = {step.id: step for step in cluster.build(on_theirs(profile))}
    entry = built["k3s-server-1/servers/hosts-entry"]
    assert [need.id for need in entry.needs] == ["k3s-server-1/preflight/datastore-name"]
    by_name = built["k3s-server-1/servers/datastore-login"]
    assert entry in by_name.needs and login_of(by_name).peer == "k3s.db.example.org"
    never = changed(profile, datastore={"hosts_entry": "never", "address": None})
    assert entries(on_theirs(never)) == {""}


def login_of(step: Step[Any]) -> Login:
    assert isinstance(step.ensure, ElsewhereProof)
    return step.ensure.login


def test_a_login_that_fails_refuses_the_run_before_any_name_is_written() -> None:
    """Its step needs nothing, so nothing that is planned could mend it."""
    profile = changed(example("existing-postgresql"), datastore={"address": "10.0.0.9"})
    built = {step.id: step for step in cluster.build(on_theirs(profile))}
    for name in profile.servers:
        guard = built[f"{name}/preflight/datastore-login"]
        assert guard.needs == () and cluster.is_preflight(guard)
        assert (login_of(guard).peer, login_of(guard).hostname) == (
            "10.0.0.9",
            profile.datastore.hostname,
        )
        assert guard in built[f"{name}/servers/k3s"].needs


OURS = "# BEGIN k3s-tui\n10.0.0.9 db.example.org\n# END k3s-tui\n"


@pytest.mark.parametrize(
    ("says", "hosts", "refused"),
    [
        ("", "", False),
        ("10.0.0.9", "", True),  # a DNS knows it, be it at this address
        ("10.1.2.3", "", True),
        ("10.0.0.9", OURS, False),  # systemd-resolved has it from our own line
        ("10.1.2.3", OURS, True),  # after a failover
        ("10.0.0.9", OURS.replace("10.0.0.9", "10.0.0.8"), True),
        ("10.0.0.9", OURS.replace("db.", "other."), True),
        ("10.0.0.9", "10.0.0.9 db.example.org\n", True),  # not our line
    ],
)
async def test_a_dns_that_knows_the_name(
    tmp_path: Path, says: str, hosts: str, refused: bool
) -> None:
    hands = with_dns(tmp_path, says, hosts)
    found = (check := NotInDns("db.example.org", "10.0.0.9")).diff(await hands.look(check))
    assert (found is not None) == refused
    assert found is None or (not found.warning and says in found.text)


@pytest.mark.parametrize(
    ("says", "hosts", "refused"),
    [
        ("", "", False),  # nothing is taken away
        ("", OURS, True),
        ("", OURS.replace("db.", "other."), False),
        ("10.0.0.9", OURS, False),
        ("10.1.2.3", OURS, False),  # it has moved meanwhile
    ],
)
async def test_our_entry_goes_where_a_dns_knows_the_name(
    tmp_path: Path, says: str, hosts: str, refused: bool
) -> None:
    hands = with_dns(tmp_path, says, hosts)
    found = (check := InDns("db.example.org")).diff(await hands.look(check))
    assert (found is not None) == refused
    assert found is None or (not found.warning and "10.0.0.9" in found.hint)


def with_dns(tmp_path: Path, says: str, hosts: str) -> LocalHands:
    hands = LocalHands("dash", tmp_path / "tools")
    answer = f"echo '{says}      STREAM db.example.org'" if says else "exit 2"
    hands.tool("getent", f'[ "$1 $2" = "-s hosts:dns" ] || exit 9\n{answer}\n')
    (tmp_path / "hosts").write_text(hosts)
    hands.tool("sed", f'exec /usr/bin/sed "$1" "$2" {tmp_path}/hosts\n')
    return hands


def login() -> Login:
    return Login("db.example.org", 5432, "k3s", "k3s", Secret("p"), "ca", None)


def test_a_failed_login_tells_its_state_and_causes() -> None:
    proof = ElsewhereProof(login(), CREDENTIALS.token)
    found = proof.diff(Outcome("rules", 'no pg_hba.conf entry for host "10.0.0.1"'))
    assert isinstance(found, Problem)
    assert "SQLSTATE 28000" in found.text and "no pg_hba.conf entry" in found.text
    assert "usual causes" in found.hint and "our block" not in found.hint


def test_whose_data_it_is() -> None:
    proof = ElsewhereProof(login(), CREDENTIALS.token)
    ours = json.dumps({"bootstrap": {bootstrap_key(CREDENTIALS.token): 9}, "registry": True})
    theirs = json.dumps({"bootstrap": {"/bootstrap/0123456789ab": 9}, "registry": True})
    assert proof.diff(Outcome("ok")) is None
    assert proof.diff(Outcome("ok", rows=ours)) is None
    found = proof.diff(Outcome("ok", rows=theirs))
    assert isinstance(found, Problem) and "another cluster's data" in found.text


def test_what_is_let_in_is_a_warning() -> None:
    refusal = RefusalThere(Refusal("plain-tcp", login()))
    assert refusal.diff(Outcome("rules-plain")) is None
    for now in (Outcome("ok"), Outcome("password")):  # the rules let it come to the password
        found = refusal.diff(now)
        assert isinstance(found, Problem) and found.warning
        assert "not enforced by the datastore's rules" in found.text


def test_the_dsn_of_mysql() -> None:
    dsn = config.mysql_endpoint("k3s", Secret("p@ss:w/rd%"), "db.example.org", 3306, "k3s")
    assert dsn.reveal() == "mysql://k3s:p@ss:w/rd%@tcp(db.example.org:3306)/k3s"


def test_dsns_of_an_address() -> None:
    """Go's URLs want brackets around IPv6, and so does its driver for MySQL."""
    dsn = config.datastore_endpoint("k3s", Secret("p"), "fd00::9", 5432, "k3s")
    assert dsn.reveal() == "postgres://k3s:p@[fd00::9]:5432/k3s?sslmode=verify-full"
    dsn = config.mysql_endpoint("k3s", Secret("p"), "fd00::9", 3306, "k3s")
    assert dsn.reveal() == "mysql://k3s:p@tcp([fd00::9]:3306)/k3s"
    profile = changed(example("existing-postgresql"), datastore={"hostname": "10.0.0.9"})
    assert "k3s-server-1/servers/hosts-entry" not in steps(on_theirs(profile))


# As MariaDB 10.11 and Python's OpenSSL 3 say it, but for MySQL's own (3159).
MYSQL_SAYS: tuple[tuple[int, str, Kind], ...] = (
    (1045, "Access denied for user 'k3s'@'10.0.0.1' (using password: YES)", "password"),
    (1044, "Access denied for user 'k3s'@'%' to database 'k3s'", "privileges"),
    (1049, "Unknown database 'k3s'", "database"),
    (1130, "Host '10.0.0.1' is not allowed to connect to this MariaDB server", "rules"),
    (1040, "Too many connections", "busy"),
    (3159, "Connections using insecure transport are prohibited", "rules-plain"),
    (2026, "SSL is required but the server doesn't support it", "no-tls"),
    (2003, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch,"
     " certificate is not valid for 'db.example.org'. (_ssl.c:1006)", "hostname"),
    (2003, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired"
     " (_ssl.c:1006)", "untrusted-expired"),
    (2003, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer"
     " certificate (_ssl.c:1006)", "untrusted-issuer"),
    (2013, "Lost connection to MySQL server during query ([SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1"
     " alert unknown ca (_ssl.c:2580))", "client-ca"),
    (2013, "Lost connection to MySQL server during query", "closed"),
    (2003, "Can't connect to MySQL server on 'db.example.org' (timed out)", "timeout"),
)  # fmt: skip


@pytest.mark.parametrize(("number", "said", "kind"), MYSQL_SAYS)
def test_what_mysql_says(number: int, said: str, kind: Kind) -> None:
    assert kind_of(number, said) == kind


def test_what_is_proved_of_mysql() -> None:
    proof = MysqlProof(login(), CREDENTIALS.token)
    assert proof.diff(Outcome("ok")) is None
    refused = proof.diff(Outcome("password", "Access denied", sqlstate="28000"))
    assert isinstance(refused, Problem) and not refused.warning
    assert "Access denied (SQLSTATE 28000)" in refused.text and "usual causes" in refused.hint
    missing = proof.diff(Outcome("privileges", "INDEX"))
    assert isinstance(missing, Problem) and missing.warning and missing.text.endswith(": INDEX")
    theirs = json.dumps({"bootstrap": {"/bootstrap/0123456789ab": 9}, "registry": True})
    for seen in (Outcome("ok", rows=theirs), Outcome("privileges", "INDEX", rows=theirs)):
        found = proof.diff(seen)
        assert isinstance(found, Problem) and not found.warning and "another" in found.text


def test_what_mysql_lets_in_is_a_warning() -> None:
    refusal = MysqlRefusal(Refusal("plain-tcp", login()))
    assert refusal.diff(Outcome("rules-plain")) is None
    for now in (Outcome("ok"), Outcome("privileges", "INDEX")):
        found = refusal.diff(now)
        assert isinstance(found, Problem) and found.warning
        assert "not enforced by the datastore's rules" in found.text


def test_the_first_server_founds_and_the_others_join() -> None:
    public = config.server_config(config.Node("a", ["10.0.0.1"]), [], config.Etcd(), {})
    assert yaml.safe_load(public)["cluster-init"] is True
    joins = config.Etcd("https://10.0.0.1:6443")
    other = yaml.safe_load(config.server_config(config.Node("b", ["10.0.0.2"]), [], joins, {}))
    assert other["server"] == "https://10.0.0.1:6443" and "cluster-init" not in other
    secrets = config.server_secrets(Secret("t"), Secret("a"), Secret(""))
    assert set(yaml.safe_load(secrets.reveal())) == {"token", "agent-token"}
    token = config.secure_server_token("c" * 64, Secret("t"))
    assert token.reveal() == f"K10{'c' * 64}::server:t"
    assert config.secure_server_token("c" * 64, token) == token


def test_nobody_founds_a_second_cluster() -> None:
    profile = example("embedded")
    first, second, _ = profile.servers
    assert founder(site(profile), first) is None
    there = site(profile, facts={second: {"k3s_role": "server"}})
    found = founder(there, first)
    assert found and not found.warning and "second cluster" in found.text
    assert founder(there, second) is None
    assert founder(site(profile, facts={first: {"k3s_role": "server"}}), first) is None


def test_members_of_etcd() -> None:
    label = {"node-role.kubernetes.io/etcd": "true"}
    nodes = [{"metadata": {"name": n, "labels": label}} for n in ("a", "b")]
    check = EtcdMembers(("a", "b", "c"))
    seen = check.probe().parse(json.dumps({"items": nodes}).encode())
    found = check.diff(seen)
    assert found and found.text == "c: no member of etcd"
    assert EtcdMembers(("a", "b")).diff(seen) is None
    other = EtcdMembers(("a",)).diff(seen)
    assert other and "no server of this profile" in other.text


def test_weaknesses_of_etcd() -> None:
    profile = example("embedded")
    codes = {weakness.code for weakness in weaknesses.single_points(profile)}
    assert codes == {"one-load-balancer"}
    hosts = {n: h for n, h in profile.hosts.items() if n not in ("k3s-server-2", "k3s-server-3")}
    alone = weaknesses.single_points(msgspec.structs.replace(profile, hosts=hosts))
    assert any(w.code == "one-etcd-server" and "cluster's state alone" in w.text for w in alone)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    profile = example("existing-postgresql")
    for content, words in ((None, "cannot read"), ("nonsense", "no PEM certificate")):
        if content is not None:
            (tmp_path / "database-ca.pem").write_text(content)
        with pytest.raises(CredentialsError, match=words) as caught:
            database_files.read(profile, tmp_path / "x.toml")
        assert "datastore.ca" in caught.value.text
    assert database_files.read(example("embedded"), tmp_path / "x.toml").ca_pem == ""


@pytest.mark.parametrize("password", ["plain", "a/b", "p@ss", "x#?[", "c:d@e/f"])
def test_a_password_of_mysql_changes_nothing_that_is_fixed(password: str) -> None:
    dsn = config.mysql_endpoint("k3s", Secret(password), "db.example.org", 3306, "state")
    found = _of_endpoint(dsn.reveal())
    assert found == _of_endpoint("mysql://k3s@tcp(db.example.org:3306)/state")
    assert (found["datastore.user"], found["datastore.database"]) == ("k3s", "state")
