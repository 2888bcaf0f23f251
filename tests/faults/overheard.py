"""What the procedure of a profile says to its hosts, heard by hands that answer as hosts would."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from k3s_tui.core.contract import LAPTOP, Change, Host, Step
from k3s_tui.core.secret import Secret
from k3s_tui.engine.graph import ordered
from k3s_tui.engine.plan import States, build
from k3s_tui.hosts import script
from k3s_tui.hosts.forwarding import ForwardingFailed
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure import cluster, own_pki
from k3s_tui.procedure.site import Site
from k3s_tui.profile.bundle import Bundle, BundleFile, Kind
from k3s_tui.profile.model import Profile
from k3s_tui.resources.block import Block
from k3s_tui.resources.given_certificate import Leaf
from k3s_tui.resources.k3s.service import K3sService
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.service import Service
from tests.unit.procedure.sites import AUTHORITY, site
from tests.unit.procedure.test_cluster import SUMS, _promised

Said = tuple[str, bytes]
"""A script, and what it is fed on its standard input."""

_KEY = ec.generate_private_key(ec.SECP256R1())
_PEM = serialization.Encoding.PEM
_REQUEST = (
    x509.CertificateSigningRequestBuilder(x509.Name([]))
    .sign(_KEY, hashes.SHA256())
    .public_bytes(_PEM)
)
_PUBLIC = _KEY.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def answer(text: str) -> bytes:
    """What a bare host of the right distribution would print: all that a script is waited for."""
    if "openssl req -new" in text:
        return _REQUEST
    if "/requested/tls.key -pubout" in text:
        return b"\n==\n" + _PUBLIC
    if 'echo "stamp=$stamp"' in text:
        files = len(re.findall(r"^look ", text, re.MULTILINE))
        return b"absent\n\n" * files + b"stamp=\nactive=inactive\nenabled=disabled\ninstalled=1\n"
    if "{ echo; cat " in text:
        return b"\n127.0.0.1 localhost\n"
    return b""


@dataclass
class Overheard:
    """Hands of one host: what is said to them, in order.  Nothing answers behind a port."""

    host: Host
    scripts: list[Said] = field(default_factory=list)

    async def sh(self, script: str, *, stdin: bytes = b"") -> bytes:
        self.scripts.append((script, stdin))
        return answer(script)

    async def put(self, path: str, source: Path) -> None:
        self.scripts.append((f": {script.quote(path)}", b""))

    async def job(self, name: str, script: str) -> None:
        self.scripts.append((script, b""))

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> AsyncIterator[int]:
        raise ForwardingFailed("nobody listens")
        yield 0

    @asynccontextmanager
    async def through(self, script: str) -> AsyncIterator[int]:
        self.scripts.append((script, b""))
        raise ForwardingFailed("nobody listens")
        yield 0

    def waiting(self, condition: str, seen: str) -> None:
        pass


_FILES: tuple[tuple[str, Kind, str], ...] = (
    ("install.sh", "script", ""),
    ("k3s-amd64", "binary", "amd64"),
    ("k3s-airgap-images-amd64.tar.zst", "images", "amd64"),
)
BUNDLE = Bundle(
    tuple(BundleFile(name, kind, arch, f"/bundle/{name}", "1" * 64) for name, kind, arch in _FILES)
)


def promised(step: Step[Any]) -> Any:
    """What the step's needs would tell the others."""
    return BUNDLE if step.id == "laptop/preflight/bundle" else _promised(step)


def sites(profile: Profile) -> Iterator[Site]:
    """Before a first run, and after it, when sums are recorded."""
    for recorded in ({}, SUMS):
        here = site(profile, recorded=recorded)
        if profile.has_certificates and not profile.signs:
            ca = Authority(Secret(""), AUTHORITY.certificate_pem, AUTHORITY.certificate_pem)
            here = replace(here, authority=ca, leaves=_leaves(profile))
        yield here


def _leaves(profile: Profile) -> Mapping[str, Leaf]:
    """Signed elsewhere: PostgreSQL's brings its key, those of servers have theirs there."""
    found = {}
    for name, wanted in own_pki.expected(profile).items():
        if name == own_pki.DATASTORE:
            pair = AUTHORITY.issue_short_lived(wanted, _now())
            found[name] = Leaf(pair.certificate_pem, pair.key)
        else:
            found[name] = Leaf(AUTHORITY.sign(_REQUEST.decode(), wanted, 30, _now()))
    return found


def _now() -> Any:
    return x509.load_pem_x509_certificate(AUTHORITY.certificate_pem.encode()).not_valid_before_utc


@dataclass(frozen=True)
class Heard:
    """All of it: `scripts`, and `files` of nginx, systemd, PostgreSQL and the resolver by kind."""

    scripts: frozenset[Said]
    files: frozenset[tuple[str, str]]

    @property
    def text(self) -> str:
        return "\n".join(text for text, _ in self.scripts)

    @property
    def payload(self) -> str:
        """What scripts carry in base64, which no shell reads."""
        packed = re.findall(r"printf %s ([A-Za-z0-9+/=]+) \| base64 -d", self.text)
        return "\n".join(base64.b64decode(one).decode(errors="replace") for one in packed)


async def said(profile: Profile) -> Heard:
    """Every script that the procedure of this profile has for its hosts, its proofs included.

    Nothing is left out: what a step raises is raised.  Steps of the laptop say nothing to a host.
    """
    scripts: set[Said] = set()
    files: set[tuple[str, str]] = set()
    known: set[str] = set()
    for here in sites(profile):
        states = States()
        probes: dict[str, list[str]] = {}
        for step in ordered((*cluster.build(here), *cluster.prove(here))):
            check = build(step, states)
            states.put(step, promised(step))
            if step.host is LAPTOP:
                continue
            files.update(placed(check))
            for one in await _said_by(check, step.host, probes):
                if (plain := _plain(one[0])) not in known:
                    known.add(plain)
                    scripts.add(one)
        scripts |= {(script.batch(asks, "f00d"), b"") for asks in probes.values()}
    return Heard(frozenset(scripts), frozenset(files))


async def _said_by(check: Any, host: Host, probes: dict[str, list[str]]) -> list[Said]:
    hands = Overheard(host)
    ask = check.probe().ask
    if isinstance(ask, str):
        probes.setdefault(host.name, []).append(ask)
    else:
        await ask(hands)
    if hasattr(check, "apply"):
        await check.apply(hands, Change(""))
    return hands.scripts


def _plain(text: str) -> str:
    """Without what is random in it: certificates, their sums, the names of their versions."""
    text = re.sub(r"v-\d{8}T\d{6}Z-[0-9a-f]{8}|[0-9a-f]{64}", "*", text)
    return re.sub(r"printf %s LS0tLS1CRUdJTi[A-Za-z0-9+/=]+", "*", text)


def placed(check: Any) -> Iterator[tuple[str, str]]:
    """What a step writes into files of other programs, each with the file's kind."""
    match check:
        case Block():
            yield "hosts", check.body
        case Access():
            yield "pg_hba", check.block()
        case Service():
            for file in check.files:
                kind = file.path.rpartition(".")[2]
                yield {"conf": "nginx", "service": "unit"}.get(kind, kind), file.raw.decode()
        case K3sService():
            yield from placed(check.service)


_ALWAYS = {
    "a batch of looks": "f00d",
    "files swapped, a service started": "outlive_listener\n",
    "K3s installed": "INSTALL_K3S_SKIP_START=true",
    "a secret written": "/.50-secrets.yaml.k3s-tui.new 0600 ",
    "packages installed": "apt-get ",
    "a unit enabled": "systemctl enable ",
}
_OF_NGINX = {"nginx's files": "/.k3s-tui-lb.conf.k3s-tui.new "}
_OF_A_DATABASE = {
    "PostgreSQL's rules": "loading=$(sha256sum",
    "a role": "\\set role ",
    "a database": "create database ",
    "a line in /etc/hosts": "| rewrite /etc/hosts ",
    "a pair taken up": "mv -fT .current.new current",
}
_SIGNED_HERE = {"a signing request": "openssl req -new", "a way": "s_client -starttls postgres"}
_SIGNED_ELSEWHERE = {
    "a session by the host's own key": "-verify_return_error",
    "a key brought": "/tls.key 0600 ",
    "a key that lies there": "cp /etc/k3s-tui/datastore/requested/tls.key ",
}
_OF_RELEASES = {"a download": "fetch() {", "what is published": "--max-time 20 "}
_OF_A_BUNDLE = {"a file put in place": "staged=/var/lib/k3s-tui/pushed/"}


def marks(profile: Profile) -> dict[str, str]:
    """A word of each kind of script that a profile must have said, by what it is about."""
    found = dict(_ALWAYS)
    found |= _OF_NGINX if profile.loadbalancer.mode == "managed" else {}
    found |= _OF_A_BUNDLE if profile.install.source == "airgap" else _OF_RELEASES
    if profile.has_certificates:
        found |= _OF_A_DATABASE | (_SIGNED_HERE if profile.signs else _SIGNED_ELSEWHERE)
    elif profile.datastore.mode == "existing":
        protocol = {"postgresql": "postgres", "mysql": "mysql"}[profile.datastore.engine]
        found |= {"a way": f"s_client -starttls {protocol}"}
    return found


def unheard(profile: Profile, heard: Heard) -> list[str]:
    """Kinds of scripts that are not there: a search in what is left would mean nothing."""
    return [about for about, word in marks(profile).items() if word not in heard.text]
