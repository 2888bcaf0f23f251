"""What a profile puts on which host, as far as that is known before anybody has looked there.

For a preview while the profile is being written.  The texts come from the code that writes them;
none holds a secret.  What only a host can say, such as where PostgreSQL keeps its configuration, is
left open: the plan says it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from k3s_tui.core.address import canonical, ip, url
from k3s_tui.core.secret import Secret
from k3s_tui.procedure import existing_datastore
from k3s_tui.procedure.leaves import FILES, TLS
from k3s_tui.profile.model import Profile
from k3s_tui.profile.networks import families
from k3s_tui.resources import nginx
from k3s_tui.resources.k3s import config
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.postgres.psql import Psql
from k3s_tui.resources.postgres.settings import DROP_IN, Settings, SettingsState

Kind: TypeAlias = Literal["file", "block", "role", "database"]

_HIDDEN = "PASSWORD"
"""Stands where the password will."""


@dataclass(frozen=True)
class Written:
    """One thing on a host.  `host` is '' while none has the role.

    `where` is a path, absolute unless PostgreSQL says where it lies, or the name of a role or a
    database.  `lines` are what is in it, as far as they are telling; `mode` is four octal digits,
    '' for what has none.
    """

    host: str
    kind: Kind
    where: str
    lines: tuple[str, ...] = ()
    mode: str = ""


@dataclass(frozen=True)
class Upstream:
    """One server behind the load balancer; `address` is '' while only the host knows it."""

    host: str
    address: str


def on_datastore(profile: Profile) -> Iterator[Written]:
    """PostgreSQL's role, database, files and rules; nothing where it is not ours."""
    wanted = profile.datastore
    if wanted.mode != "managed":
        return
    name = next(iter(profile.with_role("datastore")), "")
    tls = TLS
    yield Written(name, "role", wanted.user)
    yield Written(name, "database", wanted.database, (f"owner {wanted.user}",))
    yield Written(name, "file", tls.ca, mode="0644")
    yield Written(name, "file", tls.certificate, mode="0644")
    yield Written(name, "file", tls.key, mode="0600")
    settings = Settings(
        Psql(port=wanted.port),
        config_file="",
        data_directory="",
        tls=tls,
        addresses=("localhost", *numerics(profile, name)),
        restart="",
    ).wanted(SettingsState())
    lines = tuple(f"{key} = '{value}'" for key, value in settings.items())
    yield Written(name, "file", DROP_IN, lines, "0600")
    yield Written(name, "block", "pg_hba.conf", access(profile))


def access(profile: Profile) -> tuple[str, ...]:
    """Lines of pg_hba.conf, one per server that has an IP address in the profile, then the refusal.

    A server that reaches the datastore from another of its addresses gets that one: its routes say.
    """
    wanted = profile.datastore
    datastore = next(iter(profile.with_role("datastore")), "")
    known = [_way(profile, name, datastore)[0] for name in profile.servers]
    block = Access(
        Psql(), "", wanted.database, wanted.user, tuple(address for address in known if address)
    ).block()
    return tuple(line for line in block.splitlines() if not line.startswith("#"))


def unknown_servers(profile: Profile) -> tuple[str, ...]:
    """Servers whose IP address only they can say."""
    return tuple(name for name in profile.servers if not numeric(profile, name))


def on_servers(profile: Profile) -> Iterator[Written]:
    """What each server needs to reach the datastore; nothing where it is in the servers."""
    wanted = profile.datastore
    if wanted.mode == "embedded":
        return
    host = next(iter(profile.with_role("datastore")), "")
    make = config.mysql_endpoint if wanted.engine == "mysql" else config.datastore_endpoint
    endpoint = make(
        wanted.user, Secret(_HIDDEN), wanted.hostname, wanted.port, wanted.database
    ).reveal()
    for name in profile.servers:
        if wanted.hosts_entry == "auto" and (wanted.mode == "managed" or wanted.address):
            address = wanted.address or _way(profile, name, host)[1]
            lines = (f"{address} {wanted.hostname}",) if address else ()
            yield Written(name, "block", "/etc/hosts", lines)
        for path, mode in _client_files(profile):
            yield Written(name, "file", path, mode=mode)
        yield Written(name, "file", config.SECRETS, (f"datastore-endpoint: {endpoint}",), "0600")


def _client_files(profile: Profile) -> Iterator[tuple[str, str]]:
    if profile.datastore.mode == "managed":
        yield FILES.ca, "0644"
        yield FILES.certificate, "0644"
        yield FILES.key, "0600"
        return
    yield existing_datastore.CA, "0644"
    if profile.datastore.client_certificate is not None:
        yield existing_datastore.CERTIFICATE, "0644"
        yield existing_datastore.KEY, "0600"


def balancer(profile: Profile) -> tuple[Written, ...]:
    """The load balancer's own files, apart from the distribution's nginx."""
    if profile.loadbalancer.mode == "external":
        return ()
    name = next(iter(profile.with_role("loadbalancer")), "")
    paths = (nginx.CONFIG_PATH, nginx.UNIT_PATH, nginx.ROTATION_PATH)
    return tuple(Written(name, "file", path, mode="0644") for path in paths)


def upstreams(profile: Profile) -> tuple[Upstream, ...]:
    """Every server's API, as the load balancer will name it."""
    balancer = next(iter(profile.with_role("loadbalancer")), "")
    known = ((name, _way(profile, balancer, name)[1]) for name in profile.servers)
    return tuple(
        Upstream(name, nginx.upstream(address, profile.api_port) if address else "")
        for name, address in known
    )


def api_names(profile: Profile) -> tuple[str, ...]:
    """Names of the API in every server's certificate, besides those that K3s adds by itself."""
    host = next(iter(profile.with_role("loadbalancer")), "")
    wanted = [profile.loadbalancer.address, *profile.k3s.tls_san, *numerics(profile, host)]
    return tuple(dict.fromkeys(canonical(name) for name in wanted if name))


def registration_url(profile: Profile) -> str:
    """Where agents join; '' while there is no address."""
    balancer = profile.loadbalancer
    if not balancer.address:
        return ""
    return url("https", canonical(balancer.address), balancer.port)


def numeric(profile: Profile, host: str) -> str:
    """A host's IP address inside the cluster; '' when the profile has a name for it, or no host."""
    return next(iter(numerics(profile, host)), "")


def _way(profile: Profile, name: str, peer: str) -> tuple[str, str]:
    """From which address to which `name` reaches `peer`, each '' as above.

    To the first of a family that it has too: its routes have the last word.
    """
    own, theirs = numerics(profile, name), numerics(profile, peer)
    ways = ((a, b) for b in theirs for a in own if families((a,)) == families((b,)))
    return next(ways, (next(iter(own), ""), next(iter(theirs), "")))


def numerics(profile: Profile, host: str) -> tuple[str, ...]:
    """All of them: at most one of each family, the preferred one first."""
    found = profile.hosts[host].cluster_addresses if host in profile.hosts else ()
    return tuple(address for address in found if ip(address))
