"""What cannot be changed any more once a server has made or joined its cluster.

K3s does not refuse most of it: with another database it founds a second cluster, and servers whose
network settings differ misbehave without a word.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA
from k3s_tui.resources.k3s.service import MARK

FIXED = (
    "node-name",
    "node-ip",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "service-cidr",
    "disable-cloud-controller",
    "disable-helm-controller",
    "disable-network-policy",
    "egress-selector-mode",
    "embedded-registry",
    "flannel-backend",
    "flannel-ipv6-masq",
    "secrets-encryption",
)
"""Options of `config.yaml`: who a node is, and what must be equal on all servers."""

JOINED = "/var/lib/rancher/k3s/agent/client-ca.crt"
"""A node has it as soon as it has spoken with its cluster."""

_AGENT_TOKEN = "agent-token"
_NOTHING = "not set"
_DATASTORE_HOST = "the datastore's address"
_TELLS_NO_VALUE = {_AGENT_TOKEN: "it has another value"}


@dataclass(frozen=True)
class FixedState:
    """Values that are fixed by now, by their names; None where no K3s of ours has run yet.

    Of the agent token it is a digest over the check's own nonce.
    """

    values: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Unchanged:
    """A preflight check on a server; `public` and the rest are what would be written there.

    `root` is prefixed to every path.
    """

    public: str
    endpoint: Secret
    agent_token: Secret
    nonce: str = field(default="", compare=False)
    root: str = ""

    def probe(self) -> Probe[FixedState]:
        mark, ca, main, secrets = (
            quote(self.root + path) for path in (MARK, CLUSTER_CA, config.CONFIG, config.SECRETS)
        )
        return Probe(
            f"""
[ -e {mark} ] && [ -e {ca} ] && [ -e {main} ] && [ -e {secrets} ] || exit 0
value() {{ sed -n "s/^$1: *//p" {secrets} | sed "s/^'\\(.*\\)'\\$/\\1/" | tr -d '\\n'; }}
printf 'config %s\\n' "$(base64 <{main} | tr -d '\\n')"
printf 'endpoint %s\\n' "$(value datastore-endpoint | sed 's#//\\([^:@]*\\):.*@#//\\1@#')"
digest=$({{ printf %s {quote(self.nonce)}; value {_AGENT_TOKEN}; }} | sha256sum)
printf '{_AGENT_TOKEN} %s\\n' "${{digest%% *}}"
""",
            _parse,
        )

    def diff(self, now: FixedState) -> Problem | None:
        return _compare(now, self._wanted())

    def _wanted(self) -> dict[str, str]:
        digest = hashlib.sha256((self.nonce + self.agent_token.reveal()).encode()).hexdigest()
        return {
            **_options(self.public),
            **_of_endpoint(self.endpoint.reveal()),
            _AGENT_TOKEN: digest,
        }


@dataclass(frozen=True)
class SameNode:
    """A preflight check on an agent: it keeps the name and the addresses that it joined with.

    `public` is what its configuration would be; `root` is prefixed to every path.
    """

    public: str
    root: str = ""

    def probe(self) -> Probe[FixedState]:
        mark, joined, main = (quote(self.root + path) for path in (MARK, JOINED, config.CONFIG))
        return Probe(
            f"[ -e {mark} ] && [ -e {joined} ] && [ -e {main} ] || exit 0\ncat {main}",
            lambda out: FixedState(_node(out.decode(errors="replace")) if out else None),
        )

    def diff(self, now: FixedState) -> Problem | None:
        return _compare(now, _node(self.public))


@dataclass(frozen=True)
class SameDatastore:
    """A preflight check on a server: its own line for `hostname` leads to one of `addresses`.

    An empty PostgreSQL on another host would be taken for a cluster that begins.  Where K3s never
    ran, or /etc/hosts has no line of ours for the name, nothing is fixed.
    """

    hostname: str
    addresses: tuple[str, ...]
    root: str = ""

    def probe(self) -> Probe[FixedState]:
        mark, ca, hosts = (quote(self.root + path) for path in (MARK, CLUSTER_CA, "/etc/hosts"))
        return Probe(
            f"[ -e {mark} ] && [ -e {ca} ] || exit 0\n"
            f"sed -n '/^# BEGIN k3s-tui$/,/^# END k3s-tui$/p' {hosts}",
            self._parse,
        )

    def diff(self, now: FixedState) -> Problem | None:
        if now.values is None or now.values[_DATASTORE_HOST] in self.addresses:
            return None
        return _compare(now, {_DATASTORE_HOST: " and ".join(self.addresses)})

    def _parse(self, out: bytes) -> FixedState:
        for line in out.decode(errors="replace").splitlines():
            address, *names = line.split() or [""]
            if self.hostname in names:
                return FixedState({_DATASTORE_HOST: sanitize(address)})
        return FixedState()


def _node(text: str) -> dict[str, str]:
    found = _options(text)
    return {name: found[name] for name in ("node-name", "node-ip")}


def _compare(now: FixedState, wanted: Mapping[str, str]) -> Problem | None:
    if now.values is None:
        return None
    told = [
        f"{name} ({_TELLS_NO_VALUE.get(name) or f'{there} there, {wanted[name]} wanted'})"
        for name, there in now.values.items()
        if there != wanted[name]
    ]
    if not told:
        return None
    return Problem(
        f"this cannot be changed in a cluster that is there: {'; '.join(told)}",
        "set it back in the profile; for another cluster, use a profile and hosts of its own",
    )


def _parse(out: bytes) -> FixedState:
    said = dict(line.partition(" ")[::2] for line in out.decode(errors="replace").splitlines())
    if "config" not in said:
        return FixedState()
    text = base64.b64decode(said["config"]).decode(errors="replace")
    return FixedState(
        {
            **_options(text),
            **_of_endpoint(said.get("endpoint", "")),
            _AGENT_TOKEN: said.get(_AGENT_TOKEN, ""),
        }
    )


def _options(text: str) -> dict[str, str]:
    """The fixed ones, as short text; what is not set is K3s's own default."""
    import yaml

    try:
        loaded: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        loaded = None
    settings = loaded if isinstance(loaded, dict) else {}
    return {name: _shown(settings.get(name)) for name in FIXED}


def _shown(value: Any) -> str:
    if value is None or value is False:
        return _NOTHING  # as K3s sees it, off is the same
    return sanitize(value if isinstance(value, str) else json.dumps(value, default=str))


def _of_endpoint(endpoint: str) -> dict[str, str]:
    try:
        # A password is not escaped for MySQL, and may look like any other part.
        url = urlsplit(re.sub(r"//([^:@]*):.*@", r"//\1@", endpoint))
        host, user = url.hostname or "", url.username or ""
    except ValueError:
        host, user, url = "", "", urlsplit("")
    database = re.sub(r"^/", "", url.path)
    found = {"datastore.hostname": host, "datastore.user": user, "datastore.database": database}
    return {name: sanitize(value) or _NOTHING for name, value in found.items()}
