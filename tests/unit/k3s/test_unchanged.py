"""What a server has made of itself is not changed in silence."""

from __future__ import annotations

from dataclasses import replace
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
        "database": "k3s",
        "token": "first-agent-token",
        **changes,
    }


def check(root: Path, **changes: Any) -> Unchanged:
    wanted = settings(**changes)
    public = config.server_config(
        config.Node(wanted["name"], [wanted["address"]]), wanted["san"], FILES, wanted["extra"]
    )
    endpoint = config.datastore_endpoint(
        wanted["user"], Secret(wanted["password"]), wanted["hostname"], 5432, wanted["database"]
    )
    return Unchanged(public, endpoint, Secret(wanted["token"]), "a-nonce", str(root))


def install(root: Path, **changes: Any) -> None:
    """Files as a server has them that runs."""
    there = check(root, **changes)
    secrets = config.server_secrets(Secret("server-token"), there.agent_token, there.endpoint)
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
        ({"extra": {}}, "cluster-cidr (10.42.0.0/16 there, not set wanted)"),
        (
            {"extra": {"cluster-cidr": "10.42.0.0/16", "secrets-encryption": True}},
            "secrets-encryption (not set there, true wanted)",
        ),
        ({"token": "second-agent-token"}, "agent-token (it has another value)"),
    ],
)
async def test_what_may_not(
    hands: LocalHands, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    install(tmp_path)
    said = await judged(hands, check(tmp_path, **changes))
    assert said == f"this cannot be changed in a cluster that is there: {told}"


@pytest.mark.parametrize("token", ["123456", "true", "0x1F", "-dash", "a" * 200])
async def test_a_token_is_read_however_yaml_writes_it(
    hands: LocalHands, tmp_path: Path, token: str
) -> None:
    install(tmp_path, token=token)
    assert await judged(hands, check(tmp_path, token=token)) == ""
    assert "agent-token" in await judged(hands, check(tmp_path, token=f"{token}x"))


async def test_a_cluster_does_not_move_into_etcd(hands: LocalHands, tmp_path: Path) -> None:
    install(tmp_path)
    said = await judged(hands, replace(check(tmp_path), endpoint=Secret("")))
    assert "datastore.database (k3s there, not set wanted)" in said


async def test_no_secret_is_in_what_it_says(hands: LocalHands, tmp_path: Path) -> None:
    install(tmp_path)
    state = await hands.look(check(tmp_path))
    assert "ord%251" not in repr(state) and "first-agent-token" not in repr(state)


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
