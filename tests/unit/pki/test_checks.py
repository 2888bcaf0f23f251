"""Every check of what somebody else's CA signed: each turns red once, and names itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
    signer: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey = SUB
    issuer: str = "sub"
    ca: bool = False
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH
    names: tuple[str, ...] = ()
    start: datetime = NOW - DAY
    days: int = 365
    names_its_ca: bool = True
    may: str = ""
    """Key usage: `digital_signature`, for example; '' leaves it out."""
    most: int | None = None
    """CAs below it."""
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
            .add_extension(x509.BasicConstraints(ca=self.ca, path_length=self.most), critical=True)
        )
        if self.may:
            builder = builder.add_extension(_key_usage(self.may), critical=True)
        if self.usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([self.usage]), critical=False)
        if self.names:
            names = x509.SubjectAlternativeName([x509.DNSName(name) for name in self.names])
            builder = builder.add_extension(names, critical=False)
        if self.names_its_ca:
            named = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.signer.public_key())
            builder = builder.add_extension(named, critical=False)
        if self.ca:
            named_so = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
            builder = builder.add_extension(named_so, critical=False)
        bare = isinstance(self.signer, ed25519.Ed25519PrivateKey)
        certificate = builder.sign(self.signer, None if bare else hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode() + self.extra


def _key_usage(name: str) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    assert name in every
    return x509.KeyUsage(**{one: one == name for one in every})


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
    files = {"key-unreadable", "key-exposed", "key-passphrase"}
    assert seen | keys | files == set(get_args(Code)), "a check that nobody makes"


def test_every_check_is_in_the_how_to() -> None:
    """By the name that the command prints."""
    text = (Path(__file__).parents[3] / "docs/how-to/own-pki.md").read_text()
    table = text.partition("## The checks")[2]
    assert [code for code in get_args(Code) if f"`{code}`" not in table] == []


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
    ("key-usage", Made(may="key_encipherment")),
    ("algorithm", Made(key=ed25519.Ed25519PrivateKey.generate())),
    ("algorithm", Made(key=rsa.generate_private_key(65537, 1024))),
    ("key-mismatch", Made(key=OTHER)),
]


@pytest.mark.parametrize(("code", "made"), SPOILED)
def test_one_thing_wrong_fails_under_its_name(code: Code, made: Made) -> None:
    key = None if code == "algorithm" else LEAF.public_key()
    found = checks.of_leaf(made.pem(), CLIENT, BUNDLE, NOW, public_key=key)
    assert codes(found, "failed") == {code}, found


OLD = {"start": NOW - 400 * DAY, "days": 399}
ENDING = {"start": NOW - 400 * DAY, "days": 410}
OTHER_ROOT = authority("root", OTHER, signer=OTHER).pem()
CHAINS: list[tuple[str, Code | None, Made, str]] = [
    ("right", None, Made(may="digital_signature"), BUNDLE),
    ("right, with all said", None, Made(), authority("sub", SUB, may="key_cert_sign", most=0).pem()
     + authority("root", ROOT, may="key_cert_sign", most=1).pem()),
    ("no way", "chain", Made(), OTHER_ROOT),
    ("only to an intermediate", "chain", Made(), authority("sub", SUB).pem()),
    ("an intermediate is over", "ca-time", Made(),
     authority("sub", SUB, **OLD).pem() + authority("root", ROOT).pem()),
    ("one in the leaf's file is over", "ca-time", Made(extra=authority("sub", SUB, **OLD).pem()),
     authority("root", ROOT).pem()),
    ("the root is over", "ca-time", Made(),
     authority("sub", SUB).pem() + authority("root", ROOT, **OLD).pem()),
    ("not yet", "ca-time", Made(),
     authority("sub", SUB, start=NOW + DAY).pem() + authority("root", ROOT).pem()),
    ("over, and renewed with the same key", None, Made(), authority("sub", SUB).pem()
     + authority("root", ROOT, **OLD).pem() + authority("root", ROOT).pem()),
    ("over, renewed, the other way round", None, Made(), authority("root", ROOT).pem()
     + authority("root", ROOT, **OLD).pem() + authority("sub", SUB).pem()),
    ("the bundle's own comes first", "ca-time", Made(extra=authority("sub", SUB).pem()),
     authority("sub", SUB, **OLD).pem() + authority("root", ROOT).pem()),
    ("another of that name", None, Made(), OTHER_ROOT + BUNDLE),
    ("too deep", "path-length", Made(),
     authority("sub", SUB).pem() + authority("root", ROOT, most=0).pem()),
    ("deep enough", None, Made(signer=ROOT, issuer="root"), authority("root", ROOT, most=0).pem()),
    ("a CA for something else", "ca-usage", Made(),
     authority("sub", SUB, may="crl_sign").pem() + authority("root", ROOT).pem()),
    ("a root for something else", "ca-usage", Made(),
     authority("sub", SUB).pem() + authority("root", ROOT, may="digital_signature").pem()),
    ("a leaf for something else", "key-usage", Made(may="data_encipherment"), BUNDLE),
]  # fmt: skip


@pytest.mark.parametrize(("what", "code", "made", "bundle"), CHAINS)
def test_a_chain_is_judged_as_openssl_does(
    tmp_path: Path, what: str, code: Code | None, made: Made, bundle: str
) -> None:
    found = checks.of_leaf(made.pem(), CLIENT, bundle, NOW)
    assert codes(found, "failed") == ({code} if code else set()), (what, found)
    leaf, trusted = tmp_path / "leaf.pem", tmp_path / "bundle.pem"
    leaf.write_text(made.pem())
    trusted.write_text(bundle)
    command = ["openssl", "verify", "-purpose", "sslclient", "-CAfile", str(trusted)]
    command += ["-untrusted", str(leaf), "-attime", str(int(NOW.timestamp())), str(leaf)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode == 0) == (code is None), (what, said)


def test_a_server_s_old_rsa_key_may_decipher() -> None:
    """To OpenSSL, too; an ECDSA key cannot."""
    made = Made("db", usage=ExtendedKeyUsageOID.SERVER_AUTH, names=("db.example.org",))
    made = replace(made, may="key_encipherment")
    assert codes(checks.of_leaf(made.pem(), SERVER, BUNDLE, NOW), "failed") == {"key-usage"}
    old = replace(made, key=rsa.generate_private_key(65537, 2048))
    assert not checks.failed(checks.of_leaf(old.pem(), SERVER, BUNDLE, NOW))


def test_a_server_s_certificate_has_to_be_signed_with_a_hash() -> None:
    """SCRAM channel binding takes it; a client's is never asked for one."""
    key = ed25519.Ed25519PrivateKey.generate()
    bundle = Made("ed", key, key, "ed", ca=True, usage=None, days=3650).pem()
    made = Made("db", signer=key, issuer="ed", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    made = replace(made, names=("db.example.org",))
    assert codes(checks.of_leaf(made.pem(), SERVER, bundle, NOW), "failed") == {"algorithm"}
    client = Made(signer=key, issuer="ed")
    assert not checks.failed(checks.of_leaf(client.pem(), CLIENT, bundle, NOW))


@pytest.mark.parametrize("ending", ["sub", "root"])
def test_a_chain_that_ends_soon_is_told(ending: str) -> None:
    made = {"sub": authority("sub", SUB), "root": authority("root", ROOT)}
    bundle = "".join(
        (replace(ca, **ENDING) if name == ending else ca).pem()  # type: ignore[arg-type]
        for name, ca in made.items()
    )
    for found in (
        checks.of_leaf(Made().pem(), CLIENT, bundle, NOW),
        checks.of_authority(bundle, NOW),
    ):
        assert (codes(found, "warning"), codes(found, "failed")) == ({"ca-ends-soon"}, set())
        (told,) = [check for check in found if check.code == "ca-ends-soon"]
        assert f"CN={ending} ends in 10 days" in told.text
    renewed = bundle + made[ending].pem()
    for found in (
        checks.of_leaf(Made().pem(), CLIENT, renewed, NOW),
        checks.of_authority(renewed, NOW),
    ):
        assert codes(found, "ok") == {check.code for check in found}


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
    ("ca-time", lambda: authority("sub", SUB, **OLD).pem() + authority("root", ROOT).pem()),
    ("ca-usage", lambda: BUNDLE + authority("sub", OTHER, may="crl_sign").pem()),
    ("path-length", lambda: authority("sub", SUB).pem() + authority("root", ROOT, most=0).pem()),
]


@pytest.mark.parametrize(("code", "bundle"), BUNDLES)
def test_a_bundle_that_is_none(code: Code, bundle: Callable[[], str]) -> None:
    assert codes(checks.of_authority(bundle(), NOW), "failed") == {code}


def test_every_fault_of_a_bundle_is_told() -> None:
    bundle = authority("lost", OTHER, signer=STRANGER, issuer="gone").pem() + Made().pem()
    bundle += authority("root", ROOT, most=0, may="crl_sign").pem()
    bundle += authority("sub", SUB, **OLD).pem()
    wanted = {"ca-not-a-ca", "ca-no-root", "ca-time", "ca-usage", "path-length"}
    assert codes(checks.of_authority(bundle, NOW), "failed") == wanted


def test_an_old_root_is_no_harm_beside_its_successor() -> None:
    for bundle in (BUNDLE + authority("root", ROOT, **OLD).pem(),
                   authority("root", ROOT, **OLD).pem() + BUNDLE):  # fmt: skip
        assert not checks.failed(checks.of_authority(bundle, NOW))


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
