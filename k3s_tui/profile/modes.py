"""Which settings mean something in which mode of the datastore, and which it cannot do without.

What does not apply is not demanded; what is given and does not apply is a problem, so that nobody
believes in a setting that does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from k3s_tui.profile.k3s_options import holds_secret, option
from k3s_tui.profile.locate import Path
from k3s_tui.profile.model import Datastore, Engine, Profile
from k3s_tui.profile.problem import ProfileProblem, shown
from k3s_tui.profile.reference import FORMS

_LOGIN = ("hostname", "port", "hosts-entry", "database", "user", "password")
_OF_OTHERS = ("engine", "address", "ca", "client-certificate", "client-key")
_ADOPTED = ("cluster", "ca")

APPLIES: Mapping[str, tuple[str, ...]] = {
    "managed": (*_LOGIN, *_ADOPTED),
    "existing": (*_LOGIN, *_OF_OTHERS),
    "embedded": (),
}
"""Settings of [datastore] besides `mode`, by mode."""

_DEMANDED: Mapping[str, tuple[str, ...]] = {
    "managed": ("hostname", "password"),
    "existing": ("hostname", "password", "ca"),
    "embedded": (),
}

_EXAMPLES = {
    "hostname": (
        "a DNS name in lower case, such as postgres.example.internal",
        'write hostname = "db.example.internal": the name in the database\'s certificate',
    ),
    "password": (
        FORMS,
        'write password = "store:datastore.password" and put the value into the store: '
        "k3s-tui secret set PROFILE datastore.password",
    ),
    "ca": (
        "the path of a PEM file on this machine, from the profile's own folder on",
        'write ca = "database-ca.pem": the CA that signed the database\'s certificate, which '
        "whoever runs the database publishes",
    ),
}

_WHY = {
    "managed": "k3s-tui sets PostgreSQL up itself",
    "existing": "the database's certificates are its operator's",
    "embedded": "the servers keep the cluster's state in etcd, among themselves",
}

RESERVED: Mapping[Engine, frozenset[str]] = {
    "postgresql": frozenset(
        {
            "all",
            "none",
            "postgres",
            "public",
            "replication",
            "samegroup",
            "samerole",
            "sameuser",
            "template0",
            "template1",
        }
    ),
    "mysql": frozenset({"information_schema", "mysql", "performance_schema", "root", "sys"}),
}
"""Names that are the database's own, or that mean something else in pg_hba.conf."""

_CALLED = {"postgresql": "PostgreSQL", "mysql": "MySQL"}


def check(profile: Profile, document: Mapping[str, Any]) -> Iterator[ProfileProblem]:
    """Every problem; `document` says what was given, be it the default."""
    yield from _missing(profile.datastore, document)
    yield from _own_ca(profile)
    yield from _needless(profile, document)
    yield from _roles(profile)
    if profile.datastore.mode != "embedded":
        yield from _names(profile.datastore)
        yield from _hostname(profile.datastore)
    if profile.datastore.mode == "existing":
        yield from _existing(profile.datastore)
    if profile.datastore.mode == "managed":
        yield from _own_cluster(profile.datastore)


def inapplicable(profile: Profile) -> Iterator[tuple[Path, str, str]]:
    """Places that mean nothing in the profile's modes; in which mode, and why."""
    mode = profile.datastore.mode
    chosen = f'datastore.mode = "{mode}"'
    for key in dict.fromkeys((*_LOGIN, *_OF_OTHERS, *_ADOPTED)):
        if key not in APPLIES[mode]:
            yield ("datastore", key), chosen, _WHY[mode]
    if not profile.has_certificates:
        yield ("pki",), chosen, _WHY[mode]
        return
    chosen = f'pki.mode = "{profile.pki.mode}"'
    if profile.has_authority:
        for key in ("ca", "ca-key", "ca-key-passphrase"):
            yield ("pki", key), chosen, "k3s-tui makes a CA for this cluster"
        return
    yield ("pki", "ca-days"), chosen, "the CA is yours"
    if not profile.signs:
        for key in ("leaf-days", "renew-days", "ca-key-passphrase"):
            yield ("pki", key), chosen, "without ca-key nothing is signed here"


def _missing(datastore: Datastore, document: Mapping[str, Any]) -> Iterator[ProfileProblem]:
    given = document.get("datastore")
    for key in _DEMANDED[datastore.mode]:
        if isinstance(given, Mapping) and key in given:
            continue
        expected, advice = _EXAMPLES[key]
        yield ProfileProblem(
            "missing-key",
            f"{shown(key)} is missing in [datastore]",
            ("datastore", key),
            expected,
            advice,
        )


def _needless(profile: Profile, document: Mapping[str, Any]) -> Iterator[ProfileProblem]:
    mode = profile.datastore.mode
    for path, chosen, why in inapplicable(profile):
        if _is_given(document, path):
            name = f"[{path[0]}]" if len(path) == 1 else shown(path[-1])
            yield ProfileProblem(
                "needless-setting",
                f"{name} means nothing with {chosen}: {why}",
                path,
                help="leave it out",
                at="key",
            )
    if mode != "embedded":
        for key, value in profile.k3s.server_config.items():
            if option(key).startswith("etcd-") and not holds_secret(option(key), value):
                yield ProfileProblem(
                    "needless-option",
                    f'{shown(key)} has no effect with datastore.mode = "{mode}"',
                    ("k3s", "server-config", key),
                    help="there is no etcd in this cluster",
                    severity="warning",
                    at="key",
                )


def _own_ca(profile: Profile) -> Iterator[ProfileProblem]:
    if profile.has_certificates and not profile.has_authority and profile.pki.ca is None:
        yield ProfileProblem(
            "missing-key",
            '"ca" is missing in [pki]',
            ("pki", "ca"),
            "the path of a PEM file on this machine, from the profile's own folder on",
            'write ca = "site-ca.pem": your CA, with the intermediate ones up to the root',
        )


def _is_given(document: Mapping[str, Any], path: Path) -> bool:
    value: Any = document
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _roles(profile: Profile) -> Iterator[ProfileProblem]:
    mode = profile.datastore.mode
    if mode == "managed":
        return
    for name, host in profile.with_role("datastore").items():
        yield ProfileProblem(
            "needless-role",
            f'{shown(name)} has the role "datastore", but datastore.mode is "{mode}"',
            ("hosts", name, "roles", host.roles.index("datastore")),
            help="leave the role out: "
            + ("k3s-tui logs in there, and touches nothing" if mode == "existing" else _WHY[mode]),
        )
    servers = list(profile.servers)
    if mode == "embedded" and servers and len(servers) % 2 == 0:
        yield ProfileProblem(
            "even-servers",
            f"etcd needs an odd number of servers, and there are {len(servers)}",
            ("hosts", servers[-1], "roles"),
            expected="1, 3, 5 or 7 servers",
            help="with an even number no more of them may fail than with one server less: "
            "of 3 one may, of 5 two",
        )


def _names(datastore: Datastore) -> Iterator[ProfileProblem]:
    for key, value in (("user", datastore.user), ("database", datastore.database)):
        reserved = value in RESERVED[datastore.engine]
        if reserved or (datastore.engine == "postgresql" and value.startswith("pg_")):
            yield ProfileProblem(
                "bad-database-name",
                f"{shown(value)} is a name of {_CALLED[datastore.engine]}'s own",
                ("datastore", key),
                help=f'the {key} belongs to this cluster alone, "k3s" for example',
            )


def _hostname(datastore: Datastore) -> Iterator[ProfileProblem]:
    """An IP address will do where the certificate is somebody else's and may name one."""
    name = datastore.hostname
    if not (":" in name or name.replace(".", "").isdigit()):
        return
    if datastore.mode == "managed" or not _is_ip(name):
        yield ProfileProblem(
            "bad-dns-name",
            f"{shown(name)} is not a valid DNS name",
            ("datastore", "hostname"),
            "a DNS name in lower case, such as postgres.example.internal",
            "it is verified against the certificate's DNS name; an IP address does not do"
            if datastore.mode == "managed"
            else "or an IP address that the database's certificate names",
        )
    elif datastore.address is not None:
        yield ProfileProblem(
            "needless-setting",
            '"address" means nothing where hostname is an IP address itself',
            ("datastore", "address"),
            help="leave it out: there is no name for /etc/hosts",
            at="key",
        )


def _existing(datastore: Datastore) -> Iterator[ProfileProblem]:
    pair = {
        "client-certificate": datastore.client_certificate,
        "client-key": datastore.client_key,
    }
    given = [key for key, value in pair.items() if value is not None]
    if len(given) == 1:
        (missing,) = pair.keys() - given
        yield ProfileProblem(
            "missing-key",
            f'datastore: "{given[0]}" needs "{missing}"',
            ("datastore", missing),
            help=f"add {missing}, or leave {given[0]} out: K3s wants both or neither",
        )
    if datastore.address is not None and not _is_ip(datastore.address):
        yield ProfileProblem(
            "bad-address",
            f"{shown(datastore.address)} is not an IP address",
            ("datastore", "address"),
            expected="an IP address, for /etc/hosts",
            help="leave it out when a DNS knows the hostname",
        )
    elif datastore.address is not None and datastore.hosts_entry == "never":
        yield ProfileProblem(
            "needless-setting",
            '"address" means nothing with hosts-entry = "never"',
            ("datastore", "address"),
            help="it is for /etc/hosts only, where no DNS knows the name: leave it out",
            at="key",
        )


def _own_cluster(datastore: Datastore) -> Iterator[ProfileProblem]:
    if datastore.cluster != "own":
        return
    if datastore.given_port is None:
        yield ProfileProblem(
            "missing-key",
            'cluster = "own" needs "port": another cluster may have 5432',
            ("datastore", "port"),
            "a port that nothing uses on the datastore's host",
            "write port = 5433",
        )
    if datastore.ca is not None:
        yield ProfileProblem(
            "needless-setting",
            '"ca" means nothing with cluster = "own": its certificate is made for it',
            ("datastore", "ca"),
            help="leave it out",
            at="key",
        )


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
