"""The lab's certificate authority and the release server's certificate.

The authority is part of the base image (its hosts trust it), so it is kept with the cache; it
exists on this machine only and vouches for nothing outside the lab's namespaces.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import paths
from .topology import GATEWAY, RELEASE_NAMES

_DAY = dt.timedelta(days=1)


def ensure() -> None:
    """Make the authority unless it is there with a year to go."""
    if paths.CA_CERTIFICATE.exists() and paths.CA_KEY.exists():
        old = x509.load_pem_x509_certificate(paths.CA_CERTIFICATE.read_bytes())
        if old.not_valid_after_utc > dt.datetime.now(dt.UTC) + 365 * _DAY:
            return
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("k3s-tui lab CA")
    certificate = (
        _builder(name, key, days=3650)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths.CA_KEY.parent.mkdir(parents=True, exist_ok=True)
    _write_key(paths.CA_KEY, key)
    paths.CA_CERTIFICATE.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def issue_release_certificate() -> None:
    """A fresh certificate for the release server, valid a month, for every name it answers to."""
    issuer_key = serialization.load_pem_private_key(paths.CA_KEY.read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(paths.CA_CERTIFICATE.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in RELEASE_NAMES]
    names.append(x509.IPAddress(ipaddress.ip_address(GATEWAY)))
    certificate = (
        _builder(_name(RELEASE_NAMES[0]), key, days=30)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    _write_key(paths.RELEASES_KEY, key)
    paths.RELEASES_CERTIFICATE.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + days * _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.touch(0o600)
    path.chmod(0o600)
    path.write_bytes(pem)
