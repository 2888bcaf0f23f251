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
from ipaddress import ip_network
from typing import Any

from k3s_tui.core.address import ip, parted
from k3s_tui.core.contract import Probe, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote
from k3s_tui.profile import networks
from k3s_tui.profile.k3s_options import option
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA
from k3s_tui.resources.k3s.documents import loaded
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
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "secrets-encryption",
    "secrets-encryption-provider",
)
"""Options of `config.yaml`: who a node is, and what K3s wants equal on all servers.

Not `disable`: see docs/decisions/0016.
"""

JOINED = "/var/lib/rancher/k3s/agent/client-ca.crt"
"""A node has it as soon as it has spoken with its cluster."""

_DEFAULTS = {
    "cluster-domain": "cluster.local",
    "egress-selector-mode": "agent",
    "flannel-backend": "vxlan",
    "secrets-encryption-provider": "aescbc",
}
"""K3s's own, beside those of its networks; of all others it is off."""

_TOKENS = ("token", "agent-token")
_NOTHING = "not set"
_LONGEST = 300
"""Characters of a value; more than any of ours has."""

_DATASTORE_HOST = "the datastore's address"
_MODE = "datastore.mode"
_TELLS_NO_VALUE = dict.fromkeys(_TOKENS, "it has another value")
_ENDPOINT = re.compile(
    # Of MySQL's the address is in `tcp(…)`.
    r"(?P<engine>[a-z]+)://(?P<user>[^:@/]*)@(?:tcp\()?(?P<where>[^/()]*)\)?/(?P<database>[^?]*)"
)


@dataclass(frozen=True)
class FixedState:
    """Values that are fixed by now, by their names; None where no K3s of ours has run yet.

    Of tokens it is a digest over the check's own nonce.
    """

    values: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Unchanged:
    """A preflight check on a server; `public` and the rest are what would be written there.

    `managed` is the path of the certificate that a server has for a datastore of ours.  Of a token
    that pins the cluster's CA only the password counts.  `root` is prefixed to every path.
    """

    public: str
    endpoint: Secret
    token: Secret
    agent_token: Secret
    managed: str = ""
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
password() {{
    case $1 in K10*::*) set -- "${{1#*::}}"; set -- "${{1#*:}}" ;; esac
    printf %s "$1"
}}
for name in {" ".join(_TOKENS)}; do
    digest=$({{ printf %s {quote(self.nonce)}; password "$(value $name)"; }} | sha256sum)
    printf '%s %s\\n' $name "${{digest%% *}}"
done
""",
            self._parse,
        )

    def diff(self, now: FixedState) -> Problem | None:
        wanted = self._wanted()
        if now.values and now.values[_MODE] != wanted[_MODE]:
            # What else differs is about another kind of datastore.
            now = FixedState({_MODE: now.values[_MODE]})
        return _compare(now, wanted)

    def _wanted(self) -> dict[str, str]:
        tokens = zip(_TOKENS, (self.token, self.agent_token), strict=True)
        return {
            **self._of(self.public, self.endpoint.reveal()),
            **{name: self._digest(token) for name, token in tokens},
        }

    def _digest(self, token: Secret) -> str:
        return hashlib.sha256((self.nonce + _password(token.reveal())).encode()).hexdigest()

    def _parse(self, out: bytes) -> FixedState:
        said = dict(line.partition(" ")[::2] for line in out.decode(errors="replace").splitlines())
        if "config" not in said:
            return FixedState()
        text = base64.b64decode(said["config"]).decode(errors="replace")
        return FixedState(
            {
                **self._of(text, said.get("endpoint", "")),
                **{name: said.get(name, "") for name in _TOKENS},
            }
        )

    def _of(self, text: str, endpoint: str) -> dict[str, str]:
        settings = _settings(text)
        mode = "existing"
        if "datastore-cafile" not in settings:
            mode = "embedded"
        elif settings.get("datastore-certfile") == self.managed:
            mode = "managed"
        return {_MODE: mode, **_of_endpoint(endpoint), **_options(settings)}


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

    An empty database on another host would be taken for a cluster that begins.  Where K3s never
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
    found = _options(_settings(text))
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


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The fixed options that two tables of options say differently, as K3s understands them."""
    one, other = _options(_by_option(before)), _options(_by_option(after))
    return tuple(name for name in FIXED if one[name] != other[name])


def _password(token: str) -> str:
    """`K10HASH::USER:PASSWORD` pins the cluster's CA; the password is what it is about."""
    if token.startswith("K10") and "::" in token:
        rest = token.partition("::")[2]
        return rest.partition(":")[2] if ":" in rest else rest
    return token


def _settings(text: str) -> dict[str, Any]:
    """What a config.yaml sets, by options; nothing for what is none."""
    try:
        document = loaded(text)
    except ValueError:
        document = None
    return _by_option(document if isinstance(document, dict) else {})


def _by_option(table: Mapping[Any, Any]) -> dict[str, Any]:
    """`key+` appends to the key.  Dashes, which K3s would not understand, set it as well."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = option(str(key))
        found[name] = [*_listed(found[name]), *_listed(value)] if name in found else value
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _options(settings: Mapping[str, Any]) -> dict[str, str]:
    """The fixed ones, as short text; what is not set is K3s's own default."""
    said = {name: _shown(settings.get(name)) for name in FIXED}
    first = ip(said["node-ip"].partition(",")[0].strip())
    usual = _DEFAULTS | networks.DEFAULTS[first.version if first else 4]
    ranges = said["service-cidr"]
    usual["cluster-dns"] = _name_servers(usual["service-cidr"] if ranges == _NOTHING else ranges)
    return {name: _NOTHING if text == usual.get(name) else text for name, text in said.items()}


def _name_servers(ranges: str) -> str:
    """K3s takes the tenth address of each range of services."""
    try:
        return ",".join(str(ip_network(each.strip())[10]) for each in ranges.split(","))
    except (ValueError, IndexError):
        return ""


def _shown(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        value = ",".join(map(str, value))  # as K3s sees it, the same
    if value is None or value is False or value in ("", "false"):
        return _NOTHING  # as K3s sees it, off is the same
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, list | dict | set) for part in parts):
        return "nested"  # which K3s takes for none of these
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return sanitize(shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…")


def _of_endpoint(endpoint: str) -> dict[str, str]:
    # A password is not escaped for MySQL, and may look like any other part.
    found = _ENDPOINT.match(re.sub(r"//([^:@]*):.*@", r"//\1@", endpoint))
    said = found.groupdict() if found else {}
    host, port = parted(said.pop("where", ""))
    said |= {"hostname": host, "port": port}
    names = ("engine", "hostname", "port", "user", "database")
    return {f"datastore.{name}": sanitize(said.get(name, "")) or _NOTHING for name in names}
