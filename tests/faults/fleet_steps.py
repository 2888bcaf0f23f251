"""The how-to's graph on the fleet, of the product's own resources."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from k3s_tui.core.contract import LAPTOP, Change, Hands, Host, Probe, Problem, Seen, Step
from k3s_tui.core.secret import Secret
from k3s_tui.engine.graph import Steps
from k3s_tui.families.base import Family, NginxLayout, PostgresLayout
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import LeafProfile, datastore_client, datastore_server
from k3s_tui.resources.block import Block
from k3s_tui.resources.certificate import HostCertificate
from k3s_tui.resources.file import File
from k3s_tui.resources.laptop import LocalFile, RecordedSums
from k3s_tui.resources.package import Packages
from k3s_tui.resources.service import Service
from k3s_tui.resources.started import Started

# At work until a run has seen it begin and lived on: one that comes after a kill finds it there.
_INSTALL = """\
for package; do
    echo "unpacking $package" >&2
    tries=0
    while [ -e /mnt/held ] && [ $tries -lt 600 ]; do tries=$((tries + 1)); sleep 0.05; done
    echo "install $package" >>/mnt/acts
    echo "setting up $package" >&2
    : >"/mnt/package-$package"
done
"""

FAMILY = Family(
    name="fleet",
    ids=frozenset(),
    packages={},
    installed='for package; do [ ! -e "/mnt/package-$package" ] || echo "$package"; done',
    install=_INSTALL,
    by_hand="",
    postgres=PostgresLayout(unit="", initdb=""),
    nginx=NginxLayout(user="root"),
)


@dataclass(frozen=True)
class Token:
    """Made once, on the host; a run that comes again finds it."""

    path: str

    def probe(self) -> Probe[str]:
        return Probe(f"cat {self.path}", lambda out: out.decode().strip())

    def diff(self, now: str) -> Change[str] | None:
        return None if now else Change("make a token")

    async def apply(self, on: Hands, change: Change[str]) -> None:
        await on.sh(
            f"umask 077; head -c 16 /dev/urandom | sha256sum >{self.path}.new &&"
            f" mv -n {self.path}.new {self.path}; rm -f {self.path}.new"
        )


@dataclass(frozen=True)
class Answers:
    """A wait: whether a unit has what it was started with."""

    path: str

    def probe(self) -> Probe[bool]:
        return Probe(f"cat {self.path}", bool)

    def diff(self, now: bool) -> Problem | None:
        return None if now else Problem(f"{self.path} is not there yet")


def _packages(host: Host, name: str) -> Step[Any]:
    packages = Packages((name, f"{name}-common"), FAMILY, state_folder="/mnt/state")
    return Step(f"{host}/packages", host, packages)


def _certificate(host: Host, authority: Authority, profile: LeafProfile) -> HostCertificate:
    return HostCertificate("/mnt/tls", profile, authority, days=730, renew_days=30)


def _service(unit: str, *files: File, inputs: tuple[str, ...] = ()) -> Service:
    return Service(
        unit,
        files,
        inputs=inputs,
        ready="[ -s /mnt/answers ]",
        activate=(
            f"systemctl daemon-reload\nsystemctl enable {unit}\n"
            f"echo starting {unit} >&2\nsystemctl restart {unit}\n"
            f"echo up >/mnt/answers\necho started {unit} >&2"
        ),
        state_folder="/mnt/state",
    )


def steps(laptop: Path, authority: Authority) -> Steps:
    """PostgreSQL, two servers one after the other, a load balancer, an agent, the laptop."""
    postgres, one, two = Host("postgres"), Host("server-1"), Host("server-2")
    nginx, agent = Host("nginx"), Host("agent")

    installed = _packages(postgres, "postgresql")
    ca = Step("postgres/ca", postgres, File("/mnt/ca.crt", authority.certificate_pem))
    pair = Step(
        "postgres/certificate",
        postgres,
        _certificate(postgres, authority, datastore_server("db.fleet", ("127.0.0.1",))),
        needs=(installed,),
    )
    access = Step(
        "postgres/access", postgres, Block("/mnt/pg_hba.conf", "hostssl k3s\n"), needs=(installed,)
    )
    database = Step(
        "postgres/service",
        postgres,
        lambda seen: _service(
            "postgresql.service",
            File("/mnt/conf.d/postgresql.conf", "ssl = on\n"),
            inputs=(seen[pair].fingerprint,),
        ),
        needs=(ca, pair, access),
    )

    script = Step("server-1/script", one, File("/mnt/install.sh", "#!/bin/sh\n", "0700"))

    def sums(seen: Seen) -> RecordedSums:
        return RecordedSums(
            laptop / "fleet.lock.toml",
            "v1",
            "https://get.fleet",
            {"install.sh": hashlib.sha256(seen[script].digest.encode()).hexdigest()},
        )

    recorded = Step("laptop/checksums", LAPTOP, sums, needs=(script,))

    made: list[Step[Any]] = [installed, ca, pair, access, database, script, recorded]
    before: Step[Any] = database
    tokens: list[Step[str]] = []
    for host in (one, two):
        entry = Step(f"{host}/hosts", host, Block("/mnt/hosts", "127.0.0.1 db.fleet\n"))
        trust = Step(f"{host}/ca", host, File("/mnt/ca.crt", authority.certificate_pem))
        own = Step(
            f"{host}/certificate",
            host,
            _certificate(host, authority, datastore_client("k3s", str(host))),
        )

        def server(seen: Seen, own: Step[Any] = own) -> Service:
            secrets = File("/mnt/rancher/secrets.yaml", Secret("password: x\n"), "0600")
            return _service(
                "k3s.service",
                File("/mnt/rancher/config.yaml", "tls-san: [db.fleet]\n", "0600"),
                secrets,
                inputs=(seen[own].fingerprint,),
            )

        service = Step(f"{host}/k3s", host, server, needs=(recorded, entry, trust, own, before))
        started = Step(f"{host}/started", host, Started("k3s.service"), needs=(service,))
        ready = Step(f"{host}/ready", host, Answers("/mnt/answers"), needs=(started,))
        made += [entry, trust, own, service, started, ready]
        before = ready
        if host is one:
            token = Step("server-1/token", one, Token("/mnt/token"), needs=(ready,))
            tokens.append(token)
            made.append(token)

    balancing = _packages(nginx, "nginx")
    balancer = Step(
        "nginx/service",
        nginx,
        _service(
            "k3s-tui-lb.service",
            File("/mnt/lb.conf", "upstream\n"),
            File("/mnt/lb.service", "[Unit]\n"),
        ),
        needs=(balancing,),
    )
    rotation = Step("nginx/rotation", nginx, File("/mnt/logrotate", "daily\n"), needs=(balancing,))

    def worker(seen: Seen) -> Service:
        join = File("/mnt/rancher/join", Secret(f"token: {seen[tokens[0]]}\n"), "0600")
        return _service("k3s-agent.service", join)

    joined = Step("agent/k3s", agent, worker, needs=(tokens[0], balancer, before))

    def kubeconfig(seen: Seen) -> LocalFile:
        return LocalFile(laptop / "fleet.kubeconfig", Secret(f"token: {seen[tokens[0]]}\n"))

    access_file = Step("laptop/kubeconfig", LAPTOP, kubeconfig, needs=(tokens[0], balancer))
    return (*made, balancing, balancer, rotation, joined, access_file)


def authority_of(folder: Path) -> Authority:
    """The fleet's CA, made at first use."""
    key, certificate = folder / "ca.key", folder / "ca.crt"
    if not certificate.exists():
        made = Authority.create("fleet CA", 3650, datetime.now(UTC))
        key.write_text(made.key.reveal())
        certificate.write_text(made.certificate_pem)
    return Authority.from_pem(Secret(key.read_text()), certificate.read_text())
