"""`[k3s.server-config]` and `[k3s.agent-config]`: what must not stand there, and where it goes.

The tables go into K3s's config.yaml as they are, so an unknown option is K3s's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from k3s_tui.profile.locate import Path
from k3s_tui.profile.model import Profile
from k3s_tui.profile.problem import ProfileProblem, kind, shown

_TOKEN = "set k3s.token"
_AGENT_TOKEN = "set k3s.agent-token"
_CONFIG = "k3s-tui writes /etc/rancher/k3s/config.yaml itself"
_DATA = "K3s keeps its data in /var/lib/rancher/k3s, where k3s-tui looks for it"
_SERVER = "agents join at loadbalancer.address and loadbalancer.port"
_NODE_NAME = "a node is called as its host: rename [hosts.NAME]"
_NODE_IP = "set hosts.NAME.node-ip; here it would be the same on every host"
_KUBECONFIG = "it is an administrator's key: it stays 0600, and k3s-tui fetches it for you"
_ETCD = "[datastore] mode says where the cluster's state is"
_SERVICE = "K3s runs as root, as a service that k3s-tui places"
_LABELS = "set hosts.NAME.labels"
_TAINTS = "set hosts.NAME.taints"

OWNED: Mapping[str, str] = {
    "advertise-address": _NODE_IP,
    "advertise-port": "set https-listen-port",
    "agent-token": _AGENT_TOKEN,
    "agent-token-file": _AGENT_TOKEN,
    "bind-address": "K3s listens on all addresses; the load balancer and the agents need it",
    "c": _CONFIG,
    "cluster-init": _ETCD,
    "cluster-reset": _ETCD,
    "cluster-reset-restore-path": _ETCD,
    "cluster-secret": _TOKEN,
    "config": _CONFIG,
    "d": _DATA,
    "data-dir": _DATA,
    "disable-agent": "a server is a node too: k3s-tui waits until it is Ready",
    "disable-apiserver": _ETCD,
    "disable-etcd": _ETCD,
    "node-external-ip": _NODE_IP,
    "node-ip": _NODE_IP,
    "node-label": _LABELS,
    "node-name": _NODE_NAME,
    "node-taint": _TAINTS,
    "o": _KUBECONFIG,
    "rootless": _SERVICE,
    "s": _SERVER,
    "server": _SERVER,
    "t": _TOKEN,
    "tls-san": "set k3s.tls-san",
    "token": _TOKEN,
    "token-file": _TOKEN,
    "with-node-id": _NODE_NAME,
    "write-kubeconfig": _KUBECONFIG,
    "write-kubeconfig-group": _KUBECONFIG,
    "write-kubeconfig-mode": _KUBECONFIG,
}
"""Options, and their short forms, that k3s-tui sets or relies on; and where to set each."""

_DATASTORE = "the section [datastore] says it all"

SERVER_ONLY = frozenset(
    {
        "cluster-cidr",
        "cluster-dns",
        "cluster-domain",
        "default-local-storage-path",
        "disable",
        "disable-cloud-controller",
        "disable-controller-manager",
        "disable-helm-controller",
        "disable-kube-proxy",
        "disable-network-policy",
        "disable-scheduler",
        "egress-selector-mode",
        "embedded-registry",
        "enable-servicelb-cloud-controller",
        "flannel-backend",
        "flannel-external-ip",
        "flannel-ipv6-masq",
        "helm-job-image",
        "https-listen-port",
        "kine-tls",
        "kube-apiserver-arg",
        "kube-cloud-controller-manager-arg",
        "kube-controller-manager-arg",
        "kube-scheduler-arg",
        "multi-cluster-cidr",
        "secrets-encryption",
        "secrets-encryption-provider",
        "service-cidr",
        "service-node-port-range",
        "servicelb-namespace",
        "supervisor-metrics",
        "system-default-registry",
        "tls-san-security",
    }
)
"""Options that make an agent fail to start."""

_SECRET_NAME = re.compile(
    r"(^|-)(password|passwd|passphrase|secret|token|credentials?)$|passw(or)?d"
    r"|(^|-)(access|secret|private|api|join|auth)-?key$|^vpn-auth$",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"etcd-s3-config-secret"})
"""It names a Kubernetes secret."""

_CREDENTIALS_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s@]*:[^/\s@]+@", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_options(profile: Profile) -> Iterator[ProfileProblem]:
    """Every problem of both tables."""
    yield from _table(profile.k3s.server_config, "server-config")
    yield from _table(profile.k3s.agent_config, "agent-config")


def _table(
    options: Mapping[str, Any], table: Literal["server-config", "agent-config"]
) -> Iterator[ProfileProblem]:
    for key, value in options.items():
        path: Path = ("k3s", table, key)
        name = option(key)
        owner = owned(name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            yield ProfileProblem(
                "bad-option",
                f"{shown(key)} is not an option of K3s",
                path,
                expected="the name of a K3s flag without its dashes, such as flannel-backend",
                at="key",
            )
        elif owner:
            yield ProfileProblem(
                "owned-option",
                f"{shown(key)} is set by k3s-tui",
                path,
                help=owner,
                at="key",
            )
        elif table == "agent-config" and (name in SERVER_ONLY or name.startswith("etcd-")):
            yield ProfileProblem(
                "server-option",
                f"{shown(key)} is an option of servers: an agent with it does not start",
                path,
                help="move it to [k3s.server-config]",
                at="key",
            )
        else:
            yield from _value(name, value, path)


def option(key: str) -> str:
    """The option that a key of config.yaml sets: `key+` appends to it, dashes may lead it."""
    return key.removesuffix("+").lstrip("-").lower()


def owned(name: str) -> str:
    """Where to set an option that k3s-tui owns; '' for one that it does not own."""
    return _DATASTORE if name.startswith("datastore-") else OWNED.get(name, "")


def holds_secret(name: str, value: object) -> bool:
    """Whether an option's value looks like a literal secret; lists hold `name=value` arguments."""
    if isinstance(value, list):
        return any(holds_secret(name, item) for item in value)
    if not isinstance(value, str):
        return False
    if _CREDENTIALS_IN_URL.search(value) or _PRIVATE_KEY.search(value):
        return True
    inner, equals, argument = value.partition("=")
    if equals and re.fullmatch(r"[A-Za-z0-9-]+", inner) and holds_secret(inner, argument):
        return True
    return bool(value) and name not in _NOT_SECRET and bool(_SECRET_NAME.search(name))


def _value(name: str, value: object, path: Path) -> Iterator[ProfileProblem]:
    if name == "https-listen-port" and not (type(value) is int and 1 <= value <= 65535):
        yield ProfileProblem(
            "out-of-range", f"{shown(value)} is not a port", path, "a whole number from 1 to 65535"
        )
        return
    items = value if isinstance(value, list) else [value]
    wrong = next((item for item in items if not _plain(item)), None)
    if wrong is not None:
        yield ProfileProblem(
            "bad-option-value",
            f"{shown(path[-1])} is or holds {kind(wrong)}",
            path,
            expected="text, a number, true, false, or a list of these",
        )
    elif holds_secret(name, value):
        yield ProfileProblem(
            "literal-secret",
            f"{shown(path[-1])} looks like a literal secret, and the profile must hold none",
            path,
            help="use an option that reads it from a file on the host",
        )


def _plain(item: object) -> bool:
    if isinstance(item, str):
        return not _CONTROL.search(item)
    return isinstance(item, bool | int | float) and item == item and abs(item) < 2**63
