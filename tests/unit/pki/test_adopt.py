"""A certificate that is there already: kept with its CA, or why not."""

from __future__ import annotations

import base64
import re
import ssl
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from k3s_tui.pki import adopt
from k3s_tui.pki.adopt import Kept, Unfit
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client, datastore_server

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAME = "db.example.org"
CA = Authority.create("theirs", 3650, NOW - timedelta(days=100))
OTHER = Authority.create("another", 3650, NOW - timedelta(days=100))


def leaf(name: str = NAME, *, days: int = 200, by: Authority = CA) -> str:
    made = NOW - timedelta(days=90)
    return by.issue_short_lived(
        datastore_server(name), made, minutes=days * 24 * 60
    ).certificate_pem


def test_its_ca_is_found_among_others() -> None:
    known = OTHER.certificate_pem + CA.certificate_pem
    assert adopt.judged(leaf(), NAME, known, NOW) == Kept(CA.certificate_pem)


def test_its_ca_may_stand_behind_it() -> None:
    assert adopt.judged(leaf() + CA.certificate_pem, NAME, "", NOW) == Kept(CA.certificate_pem)


def test_it_must_hold_every_name_that_is_wanted() -> None:
    found = adopt.judged(leaf(), NAME, CA.certificate_pem, NOW, more=[NAME, "db.example"])
    assert isinstance(found, Unfit)
    assert "it does not name DNS:db.example;" in found.text


def root(of: Authority, starts: timedelta, ends: timedelta) -> str:
    """Another certificate of the same name and key."""
    old = x509.load_pem_x509_certificate(of.certificate_pem.encode())
    key = serialization.load_pem_private_key(of.key.reveal().encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made = x509.CertificateBuilder(
        old.issuer, old.subject, old.public_key(), 77, NOW + starts, NOW + ends
    ).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


EXPIRED = root(CA, timedelta(days=-900), timedelta(days=-1))


@pytest.mark.parametrize("known", [EXPIRED + CA.certificate_pem, CA.certificate_pem + EXPIRED])
def test_one_way_to_a_valid_root_is_enough(known: str) -> None:
    """A CA that was renewed by the same key, in the bundle beside the old one."""
    assert adopt.judged(leaf(), NAME, known, NOW) == Kept(CA.certificate_pem)
    assert adopt.judged(leaf(), NAME, "", NOW, known) == Kept(CA.certificate_pem)


def test_no_way_that_is_valid_is_told() -> None:
    found = adopt.judged(leaf(), NAME, EXPIRED, NOW)
    assert isinstance(found, Unfit) and "CN=theirs is not valid now" in found.text


def test_a_ca_that_is_given_comes_before_what_is_known() -> None:
    found = adopt.judged(leaf(), NAME, CA.certificate_pem, NOW, OTHER.certificate_pem)
    assert isinstance(found, Unfit) and found.why == "ca-unknown"
    assert adopt.judged(leaf(), NAME, "", NOW, CA.certificate_pem) == Kept(CA.certificate_pem)


@pytest.mark.parametrize(
    ("certificate", "why", "text"),
    [
        ("nonsense", "unreadable", "PEM"),
        (CA.certificate_pem, "self-signed", "by itself"),
        (leaf(by=OTHER), "ca-unknown", "CN=another"),
        (leaf("other.example.org"), "unfit", "does not name DNS:db.example.org"),
        (leaf(days=30), "unfit", "not valid now"),
        (
            CA.issue_short_lived(datastore_client("k3s", "a"), NOW, minutes=60).certificate_pem,
            "unfit",
            "not for server authentication",
        ),
    ],
)
def test_what_is_not_kept(certificate: str, why: str, text: str) -> None:
    found = adopt.judged(certificate, NAME, CA.certificate_pem, NOW)
    assert isinstance(found, Unfit) and found.why == why
    assert text in found.text


def block(of: Authority, label: str = "CERTIFICATE", more: bytes = b"") -> str:
    """Its certificate in PEM, with bytes after the certificate."""
    der = ssl.PEM_cert_to_DER_cert(of.certificate_pem)
    if label == "odd":  # a time that is none: OpenSSL reads it only when it looks at the time
        label, (year, _) = "CERTIFICATE", re.findall(rb"\x17\x0d\d\d|\x18\x0f\d\d", der)
        der = der.replace(year, year[:2] + b"xx", 1)
    lines = textwrap.wrap(base64.b64encode(der + more).decode(), 64)
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


CLIENTS = Authority.create("their clients", 3650, NOW)
OURS = Authority.create("ours", 3650, NOW)
FOR_CLIENTS = bytes.fromhex("300c300a06082b06010505070302")
"""OpenSSL's trust settings, which stand behind the certificate: clientAuth."""
TRUSTED = block(CLIENTS, "TRUSTED CERTIFICATE", FOR_CLIENTS)
ODD = block(CLIENTS, "odd")


@pytest.mark.parametrize(
    ("theirs", "many"),
    [
        (CLIENTS.certificate_pem, 2),
        (CLIENTS.certificate_pem.rstrip("\n"), 2),
        (f"# Text before,\n{CLIENTS.certificate_pem}and after", 2),
        (CLIENTS.certificate_pem.replace("\n", "\r\n"), 2),
        (block(CLIENTS, "X509 CERTIFICATE"), 2),
        (TRUSTED, 2),
        (CA.certificate_pem + TRUSTED, 3),
        (ODD, 2),
        (CA.certificate_pem + ODD, 3),
        ("# Größe: \udce4\n" + CLIENTS.certificate_pem, 2),
    ],
)
def test_a_bundle_lacks_nothing_of_theirs(theirs: str, many: int, tmp_path: Path) -> None:
    made = adopt.bundle(theirs, OURS.certificate_pem)
    assert made.startswith(theirs) and made.endswith(f"\n{OURS.certificate_pem}")
    assert loaded(made, tmp_path / "bundle.pem") == many
    # What is in it already is not added once more.
    assert adopt.bundle(made, OURS.certificate_pem) == made


def loaded(text: str, at: Path) -> int:
    """How many certificates libssl takes from a file, as PostgreSQL has it do."""
    at.write_bytes(text.encode(errors="surrogateescape"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(at)
    return context.cert_store_stats()["x509"]


def test_what_is_trusted_for_some_uses_only_does_not_count_as_there(tmp_path: Path) -> None:
    theirs = block(OURS, "TRUSTED CERTIFICATE", FOR_CLIENTS)
    assert adopt.bundle(theirs, OURS.certificate_pem) == theirs + OURS.certificate_pem


def test_one_bundle_is_ours_alone() -> None:
    assert adopt.bundle("", f"# ours\n{OURS.certificate_pem}") == f"# ours\n{OURS.certificate_pem}"


@pytest.mark.parametrize("odd", [ODD, TRUSTED, "-----BEGIN CERTIFICATE-----\nno\n"])
def test_its_ca_is_found_beside_what_cannot_be_read(odd: str) -> None:
    for known in (odd + CA.certificate_pem, CA.certificate_pem + odd):
        assert adopt.judged(leaf(), NAME, known, NOW) == Kept(CA.certificate_pem)
    found = adopt.judged(leaf(), NAME, odd, NOW)
    assert isinstance(found, Unfit) and "not all known" in found.text
