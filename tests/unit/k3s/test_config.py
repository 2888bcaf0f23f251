from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.pki.authority import Authority
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.cluster_ca import ca_hash
from k3s_tui.resources.k3s.diagnosis import diagnose
from k3s_tui.resources.k3s.kubeconfig import rewritten
from tests.unit.k3s.kubeconfigs import CLUSTER, USER, encoded, kubeconfig

NODE = config.Node(
    "k3s-server-1", ["10.0.0.1"], {"zone": "a"}, ["CriticalAddonsOnly=true:NoExecute"]
)
FILES = config.DatastoreFiles("/ca", "/crt", "/key")


def test_a_servers_file_holds_everything_but_secrets() -> None:
    text = config.server_config(NODE, ["10.0.0.9"], FILES, {"disable": ["traefik"]})
    assert yaml.safe_load(text) == {
        "datastore-cafile": "/ca",
        "datastore-certfile": "/crt",
        "datastore-keyfile": "/key",
        "disable": ["traefik"],
        "node-ip": "10.0.0.1",
        "node-label": ["zone=a"],
        "node-name": "k3s-server-1",
        "node-taint": ["CriticalAddonsOnly=true:NoExecute"],
        "tls-san": ["10.0.0.9"],
        "write-kubeconfig-mode": "0600",
    }


def test_a_mode_stays_text() -> None:
    """0600 unquoted is the number 384 in YAML 1.1, and K3s would make that the file's mode."""
    assert "write-kubeconfig-mode: '0600'" in config.server_config(NODE, [], FILES, {})


@pytest.mark.parametrize(
    ("password", "shown"),
    [
        ("plain-_09", "plain-_09"),
        ("a/b#c@d:e%f?g", "a%2Fb%23c%40d%3Ae%25f%3Fg"),
        ("ü ", "%C3%BC%20"),
    ],
)
def test_the_dsn_is_a_url(password: str, shown: str) -> None:
    dsn = config.datastore_endpoint("k3s", Secret(password), "pg.example", 5432, "k3s")
    assert dsn.reveal() == f"postgres://k3s:{shown}@pg.example:5432/k3s?sslmode=verify-full"


def test_secrets_are_secrets() -> None:
    text = config.server_secrets(Secret("token"), Secret("agent"), Secret("dsn"))
    assert yaml.safe_load(text.reveal()) == {
        "token": "token",
        "agent-token": "agent",
        "datastore-endpoint": "dsn",
    }
    assert "token" not in f"{text}"


def authority() -> str:
    return Authority.create("a CA", 10, datetime.now(UTC)).certificate_pem


def test_one_certificate_is_hashed_as_the_file_it_is_in() -> None:
    pem = authority().encode()
    import hashlib

    assert ca_hash(pem) == hashlib.sha256(pem).hexdigest()
    assert ca_hash(b"") == ca_hash(b"no certificate") == ""


def test_of_a_bundle_the_root_is_hashed() -> None:
    import hashlib

    leaf, root = authority(), authority()
    der = ssl.PEM_cert_to_DER_cert(root)
    assert ca_hash((leaf + root).encode()) == hashlib.sha256(der).hexdigest()


def test_the_agents_token_pins_the_ca() -> None:
    token = config.secure_agent_token("ab" * 32, Secret("agent-token"))
    assert token.reveal() == f"K10{'ab' * 32}::node:agent-token"


KUBECONFIG = kubeconfig()


def test_a_kubeconfig_is_rewritten_by_its_structure() -> None:
    document = yaml.safe_load(rewritten(Secret(KUBECONFIG), "https://lb:6443", "how-to").reveal())
    assert document == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "how-to", "cluster": {**CLUSTER, "server": "https://lb:6443"}}],
        "users": [{"name": "how-to", "user": USER}],
        "contexts": [{"name": "how-to", "context": {"cluster": "how-to", "user": "how-to"}}],
        "current-context": "how-to",
    }


@pytest.mark.parametrize(
    ("cluster", "user", "told"),
    [
        ({}, {"exec": {"command": "canary", "apiVersion": "x"}}, "exec"),
        ({}, {"auth-provider": {"name": "gcp", "config": {"cmd-path": "canary"}}}, "auth-provider"),
        ({}, {"tokenFile": "/home/canary/.ssh/id_ed25519"}, "tokenFile"),
        ({}, {"as": "canary"}, "as"),
        ({"proxy-url": "http://canary"}, {}, "proxy-url"),
        ({"insecure-skip-tls-verify": True}, {"username": "canary"}, "insecure-skip-tls-verify"),
        ({"\x1b[2J": "canary"}, {}, "\\x1b[2J"),
    ],
)
def test_a_kubeconfig_that_asks_for_more_is_refused(
    cluster: dict[str, Any], user: dict[str, Any], told: str
) -> None:
    text = kubeconfig({**CLUSTER, **cluster}, {**USER, **user})
    with pytest.raises(StepFailed, match="more than its CA, a certificate and a key") as caught:
        rewritten(Secret(text), "https://lb:6443", "x")
    assert told in str(caught.value) and "canary" not in str(caught.value)
    assert "before you trust that host" in caught.value.hint


def test_what_others_have_in_a_kubeconfig_is_not_taken() -> None:
    document = yaml.safe_load(KUBECONFIG)
    document |= {"extensions": [{"name": "canary"}], "preferences": {"canary": True}}
    document["contexts"][0]["context"]["namespace"] = "canary"
    document["users"][0]["exec"] = {"command": "canary"}
    assert "canary" not in rewritten(Secret(yaml.safe_dump(document)), "https://l", "x").reveal()


def test_only_the_current_context_is_taken() -> None:
    document = yaml.safe_load(KUBECONFIG)
    document["clusters"].insert(0, {"name": "other", "cluster": {"server": "https://other"}})
    document["users"].append({"name": "other", "user": {"token": "canary"}})
    document["contexts"].insert(
        0, {"name": "mine", "context": {"cluster": "other", "user": "other"}}
    )
    text = yaml.safe_dump(document)
    taken = rewritten(Secret(text), "https://lb:6443", "how-to").reveal()
    assert taken == rewritten(Secret(KUBECONFIG), "https://lb:6443", "how-to").reveal()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "[]",
        "clusters: []",
        "clusters: canary",
        KUBECONFIG.replace("current-context: default", "current-context: gone"),
        KUBECONFIG.replace("current-context: default", ""),
        KUBECONFIG.replace("- name: default\n  user", "- name: canary\n  user"),
        kubeconfig({**CLUSTER, "certificate-authority-data": "canary"}),
        kubeconfig({**CLUSTER, "certificate-authority-data": encoded("EC PRIVATE KEY")}),
        kubeconfig(user={**USER, "client-key-data": encoded("CERTIFICATE")}),
        kubeconfig(user={**USER, "client-key-data": {"canary": 1}}),
        kubeconfig(user={"exec": {"command": "canary"}}),
        kubeconfig().replace("user: default", "user: &a [canary]\n    x: *a"),
    ],
)
def test_what_is_no_kubeconfig_is_not_quoted(text: str) -> None:
    with pytest.raises(StepFailed) as caught:
        rewritten(Secret(text), "https://lb:6443", "x")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("journal", "cause"),
    [
        (
            "Failed to ping database connection: failed to connect: FATAL: password "
            'authentication failed for user "k3s" (SQLSTATE 28P01)',
            "refused the password",
        ),
        (
            "starting kubernetes: preparing server: bootstrap data already found and encrypted "
            "with different token\nFailed to ping database connection: noise",
            "another token",
        ),
        ("dial tcp: lookup pg.example: no such host", "does not resolve"),
        ("Failed to ping database connection: something new", "cannot reach PostgreSQL"),
        ("all is well", None),
        ("", None),
    ],
)
def test_causes_are_told_apart(journal: str, cause: str | None) -> None:
    found = diagnose(journal.splitlines())
    assert (found is None) == (cause is None)
    assert found is None or cause in found.text  # type: ignore[operator]
