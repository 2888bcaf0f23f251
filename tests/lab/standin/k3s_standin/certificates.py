"""Certificate authorities and what they sign, as K3s makes them (ECDSA P-256)."""

from __future__ import annotations

import datetime as dt
import ipaddress
import time
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LEAF_DAYS = 365
_CA_DAYS = 3650


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


def new_key() -> bytes:
    """A fresh private key (PEM, SEC 1 as K3s writes it)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def new_authority(name: str) -> Pair:
    """A self-signed CA; K3s puts the second of its birth into the name."""
    key = new_key()
    subject = _name(f"{name}@{int(time.time())}")
    private = _private(key)
    certificate = (
        _builder(subject, private.public_key(), _CA_DAYS)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(private, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), key)


def serving(authority: Pair, names: Iterable[str]) -> Pair:
    """A server certificate for DNS names and addresses."""
    alternatives: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    key = new_key()
    builder = _leaf(authority, _name("k3s"), _private(key).public_key(), server=True)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Pair(_sign(builder, authority), key)


def client(authority: Pair, user: str, group: str) -> Pair:
    """A client certificate for a Kubernetes user in a group."""
    key = new_key()
    builder = _leaf(authority, _name(user, group), _private(key).public_key(), server=False)
    return Pair(_sign(builder, authority), key)


def sign_node(authority: Pair, request_pem: bytes, node: str) -> bytes:
    """A kubelet's client certificate for the key of a request; names are ours, not the request's.

    Raises:
        ValueError: not a certificate request.
    """
    request = x509.load_pem_x509_csr(request_pem)
    if not request.is_signature_valid:
        raise ValueError("the request's signature is not valid")
    public = request.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValueError("the request's key is not ECDSA")
    builder = _leaf(authority, _name(f"system:node:{node}", "system:nodes"), public, server=False)
    return _sign(builder, authority)


def node_request(key_pem: bytes, node: str) -> bytes:
    """A kubelet's certificate request."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        _name(f"system:node:{node}", "system:nodes")
    )
    return builder.sign(_private(key_pem), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def expiry(certificate_pem: bytes) -> tuple[str, dt.datetime]:
    """Subject and end of validity (UTC) of a certificate."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    # The hosts' version of the library knows only the naive attribute, newer ones warn of it.
    end = getattr(certificate, "not_valid_after_utc", None)
    if end is None:
        end = certificate.not_valid_after.replace(tzinfo=dt.UTC)
    return certificate.subject.rfc4514_string(), end


def _name(common: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an ECDSA key")
    return key


def _builder(
    subject: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _leaf(
    authority: Pair, subject: x509.Name, public: ec.EllipticCurvePublicKey, *, server: bool
) -> x509.CertificateBuilder:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    return (
        _builder(subject, public, _LEAF_DAYS)
        .issuer_name(issuer.subject)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(_issued_by(issuer), critical=False)
    )


def _issued_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)


def _sign(builder: x509.CertificateBuilder, authority: Pair) -> bytes:
    certificate = builder.sign(_private(authority.key), hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not ca,
        key_cert_sign=ca,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
