"""Every check of what somebody else's CA signed: each turns red once, and names itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k3s_tui.core.secret import Secret
from k3s_tui.pki import checks
from k3s_tui.pki.checks import Checked, Code, Result
from k3s_tui.pki.profiles import datastore_client, datastore_server

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SERVER = datastore_server("db.example.org")
CLIENT = datastore_client("k3s", "a")
KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(5)]
ROOT, SUB, LEAF, OTHER, STRANGER = KEYS


@dataclass(frozen=True)
class Made:
    """A certificate as wanted; each test spoils one thing."""

    cn: str = "k3s"
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = LEAF
    signer: ec.EllipticCurvePrivateKey = SUB
    issuer: str = "sub"
    ca: bool = False
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH
    names: tuple[str, ...] = ()
    start: datetime = NOW - DAY
    days: int = 365
    names_its_ca: bool = True
    extra: str = field(default="", compare=False)

    def pem(self) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.cn)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.issuer)]))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.start)
            .not_valid_after(self.start + timedelta(days=self.days))
            .add_extension(x509.BasicConstraints(ca=self.ca, path_length=None), critical=True)
        )
        if self.usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([self.usage]), critical=False)
        if self.names:
            names = x509.SubjectAlternativeName([x509.DNSName(name) for name in self.names])
            builder = builder.add_extension(names, critical=False)
        if self.names_its_ca:
            named = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.signer.public_key())
            builder = builder.add_extension(named, critical=False)
        certificate = builder.sign(self.signer, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode() + self.extra


def authority(cn: str, key: ec.EllipticCurvePrivateKey, **fields: object) -> Made:
    return replace(Made(cn, key, ROOT, "root", ca=True, usage=None, days=3650), **fields)  # type: ignore[arg-type]


BUNDLE = authority("sub", SUB).pem() + authority("root", ROOT).pem()


def codes(found: tuple[Checked, ...], result: Result) -> set[Code]:
    return {check.code for check in found if check.result == result}


def test_what_is_right_passes_every_check() -> None:
    found = checks.of_leaf(Made().pem(), CLIENT, BUNDLE, NOW, public_key=LEAF.public_key())
    assert codes(found, "ok") == {check.code for check in found}
    server = replace(Made("db", usage=ExtendedKeyUsageOID.SERVER_AUTH), names=("db.example.org",))
    assert not checks.failed(checks.of_leaf(server.pem(), SERVER, BUNDLE, NOW))
    wild = replace(server, names=("*.example.org",))
    assert not checks.failed(checks.of_leaf(wild.pem(), SERVER, BUNDLE, NOW))
    assert not checks.failed(checks.of_authority(BUNDLE, NOW))
    seen = {check.code for check in (*found, *checks.of_authority(BUNDLE, NOW))}
    keys = {"ca-unreadable", "ca-key-unreadable", "ca-key-mismatch", "unreadable"}
    assert seen | keys == set(get_args(Code)), "a check that nobody makes"


SPOILED: list[tuple[Code, Made]] = [
    ("leaf-first", Made(extra=Made(key=OTHER).pem())),
    ("is-ca", Made(ca=True)),
    ("chain", Made(signer=STRANGER)),
    ("chain", Made(signer=STRANGER, issuer="other")),
    ("time", Made(start=NOW + DAY)),
    ("time", Made(start=NOW - 10 * DAY, days=9)),
    ("common-name", Made("K3s")),
    ("common-name", Made("somebody")),
    ("usage", Made(usage=ExtendedKeyUsageOID.SERVER_AUTH)),
    ("usage", Made(usage=None)),
    ("algorithm", Made(key=ed25519.Ed25519PrivateKey.generate())),
    ("algorithm", Made(key=rsa.generate_private_key(65537, 1024))),
    ("key-mismatch", Made(key=OTHER)),
]


@pytest.mark.parametrize(("code", "made"), SPOILED)
def test_one_thing_wrong_fails_under_its_name(code: Code, made: Made) -> None:
    key = None if code == "algorithm" else LEAF.public_key()
    found = checks.of_leaf(made.pem(), CLIENT, BUNDLE, NOW, public_key=key)
    assert codes(found, "failed") == {code}, found


def test_names_of_a_server() -> None:
    for names in ((), ("other.example.org",), ("*.org",), ("*.db.example.org",)):
        made = Made("db.example.org", usage=ExtendedKeyUsageOID.SERVER_AUTH, names=names)
        found = checks.of_leaf(made.pem(), SERVER, BUNDLE, NOW)
        assert codes(found, "failed") == {"names"}, names


ADVISED: list[tuple[Code, Made]] = [
    ("ends-soon", Made(start=NOW - 10 * DAY, days=30)),
    ("long-lived", Made(days=2000)),
    ("no-authority-key", Made(names_its_ca=False)),
]


@pytest.mark.parametrize(("code", "made"), ADVISED)
def test_advice_is_a_warning(code: Code, made: Made) -> None:
    found = checks.of_leaf(made.pem(), CLIENT, BUNDLE, NOW)
    assert (codes(found, "warning"), codes(found, "failed")) == ({code}, set())


def test_a_weak_hash_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library signs nothing with SHA-1 any more: what counts as weak is moved instead."""
    monkeypatch.setattr(checks, "_WEAK", ("sha256",))
    assert codes(checks.of_leaf(Made().pem(), CLIENT, BUNDLE, NOW), "warning") == {"weak-hash"}


def test_one_key_for_two_roles() -> None:
    other = Made("other", usage=ExtendedKeyUsageOID.SERVER_AUTH).pem()
    found = checks.of_leaf(Made().pem(), CLIENT, BUNDLE, NOW, others=[other])
    assert codes(found, "failed") == {"used-twice"}


def test_an_intermediate_may_come_with_the_leaf() -> None:
    root_alone = authority("root", ROOT).pem()
    assert codes(checks.of_leaf(Made().pem(), CLIENT, root_alone, NOW), "failed") == {"chain"}
    whole = Made(extra=authority("sub", SUB).pem()).pem()
    assert not checks.failed(checks.of_leaf(whole, CLIENT, root_alone, NOW))


BUNDLES: list[tuple[Code, Callable[[], str]]] = [
    ("ca-unreadable", lambda: "nonsense"),
    ("ca-not-a-ca", lambda: BUNDLE + Made().pem()),
    ("ca-no-root", lambda: authority("sub", SUB).pem()),
    ("ca-time", lambda: authority("root", ROOT, start=NOW - 9 * DAY, days=8).pem()),
]


@pytest.mark.parametrize(("code", "bundle"), BUNDLES)
def test_a_bundle_that_is_none(code: Code, bundle: Callable[[], str]) -> None:
    assert codes(checks.of_authority(bundle(), NOW), "failed") == {code}


def test_a_leaf_that_is_none() -> None:
    found = checks.of_leaf("nonsense", CLIENT, BUNDLE, NOW)
    assert codes(found, "failed") == {"unreadable"}


def test_the_ca_s_key() -> None:
    def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> Secret:
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return Secret(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain).decode())

    assert not checks.failed(checks.of_authority_key(pem(SUB), BUNDLE))
    wrong: list[tuple[Code, Secret]] = [
        ("ca-key-mismatch", pem(STRANGER)),
        ("ca-key-unreadable", Secret("nonsense")),
        ("algorithm", pem(ed25519.Ed25519PrivateKey.generate())),
    ]
    for code, key in wrong:
        assert codes(checks.of_authority_key(key, BUNDLE), "failed") == {code}
