from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k3s_tui.core.errors import CredentialsError, Refused
from k3s_tui.core.secret import Secret
from k3s_tui.pki import algorithms, inspect, judge
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import LeafProfile, datastore_client, datastore_server

NOW = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
WINDOW = timedelta(days=243)
CA = Authority.create("k3s-tui how-to datastore CA", 3650, NOW)
OTHER = Authority.create("another CA", 3650, NOW)
SERVER = datastore_server("postgres.rancher.rke2", ("10.161.129.212", "FD00::1"))
CLIENT = datastore_client("k3s", "k3s-server-1")
PEM = serialization.Encoding.PEM
KEY = ec.generate_private_key(ec.SECP256R1())


def request(key: CertificateIssuerPrivateKeyTypes = KEY, *, tampered: bool = False) -> str:
    """A signing request that asks for more than it should get."""
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postgres")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("evil")]), critical=False)
        .sign(key, algorithm)
    )
    der = bytearray(csr.public_bytes(serialization.Encoding.DER))
    if tampered:
        der[der.index(b"postgres")] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(PEM).decode()


def public_pem(key: CertificateIssuerPrivateKeyTypes = KEY) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(PEM, form).decode()


LEAF = CA.sign(request(), SERVER, 730, NOW)


def test_a_leaf_says_what_its_profile_says_and_nothing_from_the_request() -> None:
    seen = inspect.view(LEAF)
    assert seen.subject == "CN=postgres.rancher.rke2"
    assert seen.common_name == "postgres.rancher.rke2"
    assert seen.names == ("DNS:postgres.rancher.rke2", "IP:10.161.129.212", "IP:fd00::1")
    assert seen.issuer == "CN=k3s-tui how-to datastore CA"
    assert seen.usages == ("server authentication",)
    assert not seen.is_ca
    assert seen.key_type == "ECDSA P-256"
    assert seen.not_before == NOW - timedelta(hours=1)
    assert seen.not_after == NOW + timedelta(days=730)


def test_a_client_leaf_is_the_role_and_says_whose_it_is() -> None:
    seen = inspect.view(CA.sign(request(), CLIENT, 730, NOW))
    assert (seen.common_name, seen.unit, seen.names) == ("k3s", "k3s-server-1", ())
    assert seen.usages == ("client authentication",)


def test_the_extensions_are_those_of_a_leaf() -> None:
    leaf = x509.load_pem_x509_certificate(LEAF.encode())
    ca = x509.load_pem_x509_certificate(CA.certificate_pem.encode())
    critical = {type(e.value).__name__ for e in leaf.extensions if e.critical}
    assert critical == {"BasicConstraints", "KeyUsage"}
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign) == (True, False)
    ski = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    aki = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert aki.key_identifier == ski.digest
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert inspect.view(CA.certificate_pem).is_ca


def test_no_two_certificates_share_a_serial() -> None:
    serials = {inspect.view(CA.sign(request(), SERVER, 90, NOW)).serial for _ in range(5)}
    assert len(serials) == 5


def test_openssl_agrees(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text(CA.certificate_pem)
    (tmp_path / "leaf").write_text(LEAF)
    argv = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp()))]
    argv += ["-CAfile", "ca", "-verify_hostname", "postgres.rancher.rke2"]
    done = subprocess.run([*argv, "-purpose", "sslserver", "leaf"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    done = subprocess.run([*argv, "-purpose", "sslclient", "leaf"], cwd=tmp_path, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("csr", "reason"),
    [
        (request(ed25519.Ed25519PrivateKey.generate()), "channel binding"),
        (request(rsa.generate_private_key(65537, 1024)), "RSA 1024"),
        (request(ec.generate_private_key(ec.SECP521R1())), "secp521r1"),
        (request(dsa.generate_private_key(2048)), "DSA"),
        (request(tampered=True), "not signed by the key"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", "read"),
        ("", "read"),
    ],
)
def test_a_request_that_must_not_be_signed(csr: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        CA.sign(csr, SERVER, 730, NOW)


def test_other_accepted_keys() -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
        leaf = CA.sign(request(key), SERVER, 730, NOW)
        assert (
            judge.objections(leaf, SERVER, CA.certificate_pem, NOW, WINDOW, public_pem(key)) == []
        )


def test_no_leaf_outlives_its_ca() -> None:
    ca = Authority.create("short", 100, NOW)
    leaf = ca.sign(request(), SERVER, 730, NOW)
    assert inspect.view(leaf).not_after == inspect.view(ca.certificate_pem).not_after
    # It cannot be had for longer, so being close to its end is no reason to ask for it again …
    late = NOW + timedelta(days=99)
    assert judge.objections(leaf, SERVER, ca.certificate_pem, late, WINDOW) == []
    # … and past it, no leaf is to be had at all.
    with pytest.raises(Refused, match="CA's certificate ended on 2030-04-25"):
        ca.sign(request(), SERVER, 730, NOW + timedelta(days=101))


def test_an_authority_survives_its_store() -> None:
    again = Authority.from_pem(CA.key, CA.certificate_pem)
    leaf = again.sign(request(), CLIENT, 730, NOW)
    assert judge.objections(leaf, CLIENT, CA.certificate_pem, NOW, WINDOW) == []


@pytest.mark.parametrize(
    ("key", "certificate", "reason"),
    [
        (OTHER.key, CA.certificate_pem, "do not belong together"),
        (Secret("not a key: hunter22"), CA.certificate_pem, "key cannot be read"),
        (CA.key, "nothing", "certificate cannot be used"),
        (CA.key, LEAF, "not one of a CA"),
    ],
)
def test_an_authority_that_is_none(key: Secret, certificate: str, reason: str) -> None:
    with pytest.raises(CredentialsError, match=reason) as caught:
        Authority.from_pem(key, certificate)
    assert "hunter22" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("what", ["CA", "pair"])
def test_keys_do_not_show(what: str) -> None:
    shown = CA if what == "CA" else CA.issue_short_lived(CLIENT, NOW)
    assert "PRIVATE KEY" in shown.key.reveal()
    assert "PRIVATE" not in repr(shown)


def test_a_short_lived_pair_is_a_pair_and_short_lived() -> None:
    pair = CA.issue_short_lived(CLIENT, NOW, minutes=5)
    key = serialization.load_pem_private_key(pair.key.reveal().encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    reasons = judge.objections(pair.certificate_pem, CLIENT, CA.certificate_pem, NOW, WINDOW, None)
    assert reasons == ["it ends in 0 days, on 2030-01-15"]
    assert inspect.view(pair.certificate_pem).not_after == NOW + timedelta(minutes=5)
    leaf = x509.load_pem_x509_certificate(pair.certificate_pem.encode())
    assert leaf.public_key() == key.public_key()


def test_a_right_leaf_is_left_alone() -> None:
    assert judge.objections(LEAF, SERVER, CA.certificate_pem, NOW, WINDOW, public_pem()) == []


@pytest.mark.parametrize(
    ("leaf", "profile", "reason"),
    [
        ("", SERVER, "there is no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", SERVER, "be read"),
        (OTHER.sign(request(), SERVER, 730, NOW), SERVER, "not signed by the CA"),
        (CA.sign(request(), CLIENT, 730, NOW), SERVER, "it is for client authentication"),
        (LEAF, replace(SERVER, common_name="pg", dns=("pg",)), "its common name is"),
        (LEAF, replace(SERVER, addresses=("10.0.0.1",)), "its names are"),
        (LEAF, replace(SERVER, unit="x"), "its unit is ''"),
        (CA.certificate_pem, SERVER, "it is a CA's"),
    ],
)
def test_a_wrong_leaf(leaf: str, profile: LeafProfile, reason: str) -> None:
    reasons = judge.objections(leaf, profile, CA.certificate_pem, NOW, WINDOW)
    assert any(reason in told for told in reasons), reasons


def test_a_ca_of_the_same_name_is_not_the_same_ca() -> None:
    twin = Authority.create("k3s-tui how-to datastore CA", 3650, NOW)
    leaf = twin.sign(request(), SERVER, 730, NOW)
    reasons = judge.objections(leaf, SERVER, CA.certificate_pem, NOW, WINDOW)
    assert reasons == ["it is not signed by the CA CN=k3s-tui how-to datastore CA"]


@pytest.mark.parametrize("key", ["", "junk", public_pem(ec.generate_private_key(ec.SECP256R1()))])
def test_a_key_that_is_not_the_leaf_s(key: str) -> None:
    reasons = judge.objections(LEAF, SERVER, CA.certificate_pem, NOW, WINDOW, key)
    assert reasons == ["it does not belong to the key beside it"]


@pytest.mark.parametrize(
    ("days", "after", "reason"),
    [
        (730, timedelta(days=487), ""),
        (730, timedelta(days=487, seconds=1), "it ends in 242 days"),
        (300, timedelta(days=58), "it ends in 242 days"),
        (90, timedelta(days=90), "it ended on 2030-04-15"),
        (90, timedelta(days=-1), "it is not valid before 2030-01-15 11:00 UTC"),
    ],
)
def test_the_renewal_window(days: int, after: timedelta, reason: str) -> None:
    leaf = CA.sign(request(), SERVER, days, NOW)
    reasons = judge.objections(leaf, SERVER, CA.certificate_pem, NOW + after, WINDOW)
    assert [told[: len(reason)] for told in reasons] == ([reason] if reason else [])


def test_an_ed25519_leaf_made_elsewhere_is_judged_with_the_reason() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    ca_key = serialization.load_pem_private_key(CA.key.reveal().encode(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k3s")]))
        .issuer_name(x509.load_pem_x509_certificate(CA.certificate_pem.encode()).subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=730))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    profile = LeafProfile("client", "k3s")
    (reason,) = judge.objections(
        leaf.public_bytes(PEM).decode(), profile, CA.certificate_pem, NOW, WINDOW, public_pem(key)
    )
    assert "channel binding" in reason
    assert algorithms.describe(key.public_key()) == "Ed25519"


def test_more_names_and_addresses_of_the_datastore() -> None:
    more = ("db.example", "FD00:0::2", "10.0.0.1", "pg")
    wanted = datastore_server("pg", ("10.0.0.1",), more)
    assert (wanted.common_name, wanted.dns) == ("pg", ("pg", "db.example"))
    assert wanted.addresses == ("10.0.0.1", "fd00::2")


@pytest.mark.parametrize(
    "make",
    [
        lambda: datastore_server("a" * 65),
        lambda: datastore_client("k3s", "h" * 65),
        lambda: datastore_server("pg", ("10.0.0",)),
        lambda: datastore_server("数据库"),
    ],
)
def test_names_that_no_certificate_can_hold(make: object) -> None:
    assert callable(make)
    with pytest.raises(Refused):
        make()


def test_the_package_itself_loads_no_cryptography() -> None:
    code = "import sys, k3s_tui.pki, k3s_tui.pki.profiles; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
