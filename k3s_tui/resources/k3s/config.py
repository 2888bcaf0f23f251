"""K3s configuration files.

Everything is in `config.yaml` and `config.yaml.d/50-secrets.yaml`, both 0600: command-line flags
would end up in a world-readable unit, the process list and the shell's history (k3s #2014), and the
environment file is written anew by every run of the install script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from k3s_tui.core.address import endpoint
from k3s_tui.core.secret import Secret

FOLDER = "/etc/rancher/k3s"
CONFIG = f"{FOLDER}/config.yaml"
SECRETS = f"{FOLDER}/config.yaml.d/50-secrets.yaml"
HEADER = "# Written by k3s-tui. Changes made here are undone by its next run.\n"


@dataclass(frozen=True)
class Node:
    """What is the same for a server and an agent.

    `addresses` are at most one of each family, `taints` are `key=value:effect`.
    """

    name: str
    addresses: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[str] = ()

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"node-name": self.name, "node-ip": ",".join(self.addresses)}
        if self.labels:
            settings["node-label"] = [f"{key}={value}" for key, value in self.labels.items()]
        if self.taints:
            settings["node-taint"] = list(self.taints)
        return settings


@dataclass(frozen=True)
class DatastoreFiles:
    """Where a server finds its CA for the datastore, and its certificate and key, if it has any."""

    ca: str
    certificate: str = ""
    key: str = ""

    def settings(self) -> dict[str, Any]:
        settings = {"datastore-cafile": self.ca}
        if self.certificate:
            settings["datastore-certfile"] = self.certificate
            settings["datastore-keyfile"] = self.key
        return settings


@dataclass(frozen=True)
class Etcd:
    """A member of the servers' own etcd: `joins` is a server's URL, '' for the one that founds."""

    joins: str = ""

    def settings(self) -> dict[str, Any]:
        return {"server": self.joins} if self.joins else {"cluster-init": True}


def server_config(
    node: Node, tls_san: Sequence[str], state: DatastoreFiles | Etcd, extra: Mapping[str, Any]
) -> str:
    """A server's config.yaml.  `extra` is passed through; keys of the tool's own win."""
    return _yaml(
        {
            "write-kubeconfig-mode": "0600",
            **extra,
            **node.settings(),
            "tls-san": list(tls_san),
            **state.settings(),
        }
    )


def server_secrets(token: Secret, agent_token: Secret, endpoint: Secret) -> Secret:
    """`endpoint` is empty where etcd holds the cluster's state."""
    settings = {"token": token.reveal(), "agent-token": agent_token.reveal()}
    if endpoint.reveal():
        settings["datastore-endpoint"] = endpoint.reveal()
    return Secret(_yaml(settings))


def agent_config(node: Node, server: str, extra: Mapping[str, Any]) -> str:
    """An agent's config.yaml; `server` is the URL of the fixed registration address."""
    return _yaml({**extra, **node.settings(), "server": server})


def agent_secrets(token: Secret) -> Secret:
    return Secret(_yaml({"token": token.reveal()}))


def datastore_endpoint(
    user: str, password: Secret, hostname: str, port: int, database: str
) -> Secret:
    """The DSN.  kine parses it as a URL, so what is not a plain character is percent-encoded.

    `sslmode` is said although kine would choose it: the DSN then stays strict even if the flags
    that name the files get lost.
    """
    password_part = quote(password.reveal(), safe="")
    return Secret(
        f"postgres://{quote(user, safe='')}:{password_part}@{endpoint(hostname, port)}/{database}"
        "?sslmode=verify-full"
    )


def mysql_endpoint(user: str, password: Secret, hostname: str, port: int, database: str) -> Secret:
    """The DSN of MySQL and MariaDB, in the form of Go's driver, which decodes nothing: the password
    goes from the first colon to the last @ as it is.

    That TLS is used, and the name checked, follows from `datastore-cafile`.
    """
    where = endpoint(hostname, port)
    return Secret(f"mysql://{user}:{password.reveal()}@tcp({where})/{database}")


def secure_server_token(ca_hash: str, token: Secret) -> Secret:
    """The form that pins the cluster's CA: a server that joins gives it to nobody else."""
    if token.reveal().startswith("K10"):
        return token
    return Secret(f"K10{ca_hash}::server:{token.reveal()}")


def secure_agent_token(ca_hash: str, agent_token: Secret) -> Secret:
    """The form that pins the cluster's CA: an agent gives it to nobody else."""
    return Secret(f"K10{ca_hash}::node:{agent_token.reveal()}")


def _yaml(settings: Mapping[str, Any]) -> str:
    import yaml

    return HEADER + yaml.safe_dump(dict(settings), sort_keys=True, allow_unicode=True)
