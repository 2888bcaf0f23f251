"""What a server has made of itself is not changed in silence."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from k3s_tui.core.contract import Problem
from k3s_tui.core.secret import Secret
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA
from k3s_tui.resources.k3s.service import MARK
from k3s_tui.resources.k3s.unchanged import JOINED, SameDatastore, SameNode, Unchanged
from tests.unit.hands import LocalHands
from tests.unit.k3s.test_documents import BOMB
from tests.unit.shells import SHELLS

FILES = config.DatastoreFiles("/ca", "/certificate", "/key")


@pytest.fixture(params=SHELLS)
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> LocalHands:
    return LocalHands(request.param, tmp_path / "tools")


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "name": "k3s-server-1",
        "address": "10.0.0.1",
        "san": ["10.0.0.9"],
        "extra": {"cluster-cidr": "10.42.0.0/16"},
        "user": "k3s",
        "password": "p@ss/w'ord%1: #",
        "hostname": "postgres.k3s.internal",
        "port": 5432,
        "database": "k3s",
        "token": "first-token",
        "agent_token": "first-agent-token",
        "state": FILES,
        "engine": "postgresql",
        **changes,
    }


def check(root: Path, **changes: Any) -> Unchanged:
    wanted = settings(**changes)
    public = config.server_config(
        config.Node(wanted["name"], [wanted["address"]]),
        wanted["san"],
        wanted["state"],
        wanted["extra"],
    )
    dsn = config.mysql_endpoint if wanted["engine"] == "mysql" else config.datastore_endpoint
    endpoint = dsn(
        *(wanted["user"], Secret(wanted["password"])),
        *(wanted["hostname"], wanted["port"], wanted["database"]),
    )
    return Unchanged(
        public,
        Secret("") if isinstance(wanted["state"], config.Etcd) else endpoint,
        Secret(wanted["token"]),
        Secret(wanted["agent_token"]),
        FILES.certificate,
        "a-nonce",
        str(root),
    )


def install(root: Path, **changes: Any) -> None:
    """Files as a server has them that runs."""
    there = check(root, **changes)
    secrets = config.server_secrets(there.token, there.agent_token, there.endpoint)
    for path, text in (
        (MARK, ""),
        (CLUSTER_CA, ""),
        (config.CONFIG, there.public),
        (config.SECRETS, secrets.reveal()),
    ):
        file = Path(f"{root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


async def judged(hands: LocalHands, wanted: Unchanged) -> str:
    found = wanted.diff(await hands.look(wanted))
    assert found is None or isinstance(found, Problem)
    return found.text if found else ""


async def test_a_bare_host_and_one_that_never_started_are_free(
    hands: LocalHands, tmp_path: Path
) -> None:
    assert await judged(hands, check(tmp_path)) == ""
    install(tmp_path)
    Path(f"{tmp_path}{CLUSTER_CA}").unlink()
    assert await judged(hands, check(tmp_path, database="other")) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"password": "another"},
        {"san": ["10.0.0.9", "api.example.org"]},
        {"extra": {"cluster-cidr": "10.42.0.0/16", "kube-apiserver-arg": ["v=2"]}},
        {"extra": {"cluster-cidr": "10.42.0.0/16", "secrets-encryption": False}},
        {"extra": {"cluster-cidr": ["10.42.0.0/16"], "disable": ["servicelb", "traefik"]}},
        # K3s's own defaults, said or not.
        {"extra": {}},
        {"extra": {"flannel-backend": "vxlan", "egress-selector-mode": "agent"}},
        {"extra": {"service-cidr": "10.43.0.0/16", "cluster-dns": "10.43.0.10"}},
        {"extra": {"cluster-domain": "cluster.local", "secrets-encryption-provider": "aescbc"}},
        {"extra": {"flannel-external-ip": False, "embedded-registry": "false"}},
    ],
)
async def test_what_may_change(hands: LocalHands, tmp_path: Path, changes: dict[str, Any]) -> None:
    install(tmp_path)
    assert await judged(hands, check(tmp_path, **changes)) == ""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"database": "other"}, "datastore.database (k3s there, other wanted)"),
        ({"user": "other"}, "datastore.user (k3s there, other wanted)"),
        (
            {"hostname": "db.example.org"},
            "datastore.hostname (postgres.k3s.internal there, db.example.org wanted)",
        ),
        ({"address": "10.0.0.2"}, "node-ip (10.0.0.1 there, 10.0.0.2 wanted)"),
        ({"name": "k3s-server-9"}, "node-name (k3s-server-1 there, k3s-server-9 wanted)"),
        # Another port is another PostgreSQL: an empty one, perhaps.
        ({"port": 5433}, "datastore.port (5432 there, 5433 wanted)"),
        (
            {"engine": "mysql", "port": 5432},
            "datastore.engine (postgres there, mysql wanted)",
        ),
        (
            {"state": config.DatastoreFiles("/ca", "/given", "/key")},
            "datastore.mode (managed there, existing wanted)",
        ),
        (
            {"state": config.DatastoreFiles("/ca")},
            "datastore.mode (managed there, existing wanted)",
        ),
        ({"state": config.Etcd()}, "datastore.mode (managed there, embedded wanted)"),
        (
            {"extra": {"cluster-cidr": "10.99.0.0/16"}},
            "cluster-cidr (not set there, 10.99.0.0/16 wanted)",
        ),
        (
            {"extra": {"cluster-cidr+": "10.99.0.0/16"}},
            "cluster-cidr (not set there, 10.99.0.0/16 wanted)",
        ),
        (
            {"extra": {"--cluster-cidr": ["10.99.0.0/16"]}},
            "cluster-cidr (not set there, 10.99.0.0/16 wanted)",
        ),
        (
            {"extra": {"cluster-cidr": "10.42.0.0/16", "cluster-cidr+": "fd00:42::/56"}},
            "cluster-cidr (not set there, 10.42.0.0/16,fd00:42::/56 wanted)",
        ),
        (
            {"extra": {"secrets-encryption": True}},
            "secrets-encryption (not set there, true wanted)",
        ),
        (
            {"extra": {"secrets-encryption-provider": "secretbox"}},
            "secrets-encryption-provider (not set there, secretbox wanted)",
        ),
        (
            {"extra": {"flannel-external-ip": True}},
            "flannel-external-ip (not set there, true wanted)",
        ),
        ({"token": "second-token"}, "token (it has another value)"),
        ({"agent_token": "second-agent-token"}, "agent-token (it has another value)"),
    ],
)
async def test_what_may_not(
    hands: LocalHands, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    install(tmp_path)
    said = await judged(hands, check(tmp_path, **changes))
    assert said == f"this cannot be changed in a cluster that is there: {told}"


@pytest.mark.parametrize("token", ["123456", "true", "0x1F", "-dash", "a" * 200, "a::b:c"])
async def test_a_token_is_read_however_yaml_writes_it(
    hands: LocalHands, tmp_path: Path, token: str
) -> None:
    install(tmp_path, token=token, agent_token=token)
    assert await judged(hands, check(tmp_path, token=token, agent_token=token)) == ""
    said = await judged(hands, check(tmp_path, token=f"{token}x", agent_token=f"{token}x"))
    assert said.endswith("there: token (it has another value); agent-token (it has another value)")


@pytest.mark.parametrize("state", [config.Etcd(), config.Etcd("https://10.0.0.1:6443")])
async def test_a_token_that_pins_the_clusters_ca_is_the_same(
    hands: LocalHands, tmp_path: Path, state: config.Etcd
) -> None:
    """A server that joins etcd has it so in its file."""
    full = config.secure_server_token("ab" * 32, Secret("first-token")).reveal()
    install(tmp_path, state=state, token=full)
    assert await judged(hands, check(tmp_path, state=state)) == ""
    assert await judged(hands, check(tmp_path, state=state, token=full)) == ""
    said = await judged(hands, check(tmp_path, state=state, token="another-token"))
    assert said.endswith("that is there: token (it has another value)")


@pytest.mark.parametrize("there", ["10.0.0.1", "fd00::1"])
async def test_defaults_go_by_the_family_of_the_node(
    hands: LocalHands, tmp_path: Path, there: str
) -> None:
    install(tmp_path, address=there, extra={})
    pods, dns = ("10.42.0.0/16", "10.43.0.10") if "." in there else ("fd00:42::/56", "fd00:43::a")
    said = {"cluster-cidr": pods, "cluster-dns": dns}
    assert await judged(hands, check(tmp_path, address=there, extra=said)) == ""
    other = {"cluster-cidr": "fd00:42::/56" if "." in there else "10.42.0.0/16"}
    assert "cluster-cidr" in await judged(hands, check(tmp_path, address=there, extra=other))


async def test_the_name_server_follows_from_the_services(hands: LocalHands, tmp_path: Path) -> None:
    services = {"service-cidr": "10.96.0.0/12,fd00:96::/112"}
    install(tmp_path, extra=services)
    said = services | {"cluster-dns": "10.96.0.10,fd00:96::a"}
    assert await judged(hands, check(tmp_path, extra=said)) == ""
    assert "cluster-dns" in await judged(
        hands, check(tmp_path, extra=services | {"cluster-dns": "10.43.0.10"})
    )


@pytest.mark.parametrize("hostname", ["db.example.org", "fd00::7"])
async def test_where_mysql_is(hands: LocalHands, tmp_path: Path, hostname: str) -> None:
    """Its password is not escaped, and may look like any other part."""
    given = {"state": config.DatastoreFiles("/ca"), "engine": "mysql", "hostname": hostname}
    given |= {"port": 3306, "password": "p@tcp(x:1)/y//z:@"}
    install(tmp_path, **given)
    assert await judged(hands, check(tmp_path, **given)) == ""
    assert await judged(hands, check(tmp_path, **given | {"password": "another"})) == ""
    for key, value in {"port": 3307, "database": "other", "user": "other"}.items():
        said = await judged(hands, check(tmp_path, **given | {key: value}))
        assert said.endswith(f"{value} wanted)"), said
        assert said.count("there,") == 1, said
    said = await judged(hands, check(tmp_path, **given | {"hostname": "elsewhere"}))
    assert said.endswith(f"datastore.hostname ({hostname} there, elsewhere wanted)")


async def test_no_secret_is_in_what_it_says(hands: LocalHands, tmp_path: Path) -> None:
    install(tmp_path)
    state = await hands.look(check(tmp_path))
    assert "ord%251" not in repr(state)
    assert "first-token" not in repr(state) and "first-agent-token" not in repr(state)


def join(root: Path, name: str, address: str) -> None:
    """Files as an agent has them that has joined."""
    public = config.agent_config(config.Node(name, [address]), "https://10.0.0.9:6443", {})
    for path, text in ((MARK, ""), (JOINED, ""), (config.CONFIG, public)):
        file = Path(f"{root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize(
    ("name", "address", "told"),
    [
        ("k3s-agent", "10.0.0.3", ""),
        ("k3s-agent", "10.0.0.4", "node-ip (10.0.0.3 there, 10.0.0.4 wanted)"),
        ("worker", "10.0.0.3", "node-name (k3s-agent there, worker wanted)"),
    ],
)
async def test_an_agent_keeps_its_name_and_address(
    hands: LocalHands, tmp_path: Path, name: str, address: str, told: str
) -> None:
    # Another registration address is followed.
    public = config.agent_config(config.Node(name, [address]), "https://lb.example.org:6443", {})
    check = SameNode(public, str(tmp_path))
    assert check.diff(await hands.look(check)) is None, "it is bare"
    join(tmp_path, "k3s-agent", "10.0.0.3")
    found = check.diff(await hands.look(check))
    assert (found.text.rpartition("that is there: ")[2] if found else "") == told
    Path(f"{tmp_path}{JOINED}").unlink()
    assert check.diff(await hands.look(check)) is None, "it never joined"


@pytest.mark.parametrize(
    ("hosts", "refused"),
    [
        ("127.0.0.1 localhost\n", False),
        ("10.0.0.5 postgres.k3s.internal\n", False),
        ("# BEGIN k3s-tui\n10.0.0.8 postgres.k3s.internal\n# END k3s-tui\n", False),
        ("# BEGIN k3s-tui\n10.0.0.5 another.name\n# END k3s-tui\n", False),
        ("# BEGIN k3s-tui\n10.0.0.5 postgres.k3s.internal\n# END k3s-tui\n", True),
    ],
)
async def test_the_datastore_stays_on_its_host(
    hands: LocalHands, tmp_path: Path, hosts: str, refused: bool
) -> None:
    check = SameDatastore("postgres.k3s.internal", ("10.0.0.8", "fd00::8"), str(tmp_path))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text(hosts)
    assert check.diff(await hands.look(check)) is None, "no server runs there"
    install(tmp_path)
    found = check.diff(await hands.look(check))
    assert bool(found) == refused
    if found:
        assert "(10.0.0.5 there, 10.0.0.8 and fd00::8 wanted)" in found.text


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "value",
    ["*a9", "[[10.42.0.0/16]]", "{2026-01-01: x}", f"{{a: {'[' * 200}{']' * 200}}}", "x" * 99_999],
)
def test_a_file_that_stands_for_more_than_it_is(value: str) -> None:
    """Of what a host wrote, a short line is shown, and no memory is filled for it."""
    text = BOMB + f"cluster-cidr: {value}\n" if "*" in value else f"cluster-cidr: {value}\n"
    there = base64.b64encode(text.encode()).decode()
    resource = check(Path("/"))
    problem = resource.diff(resource.probe().parse(f"config {there}\n".encode()))
    assert isinstance(problem, Problem)
    assert len(problem.text) < 1500
