"""The datastore's own certificate authority.

Its key lives in the operator's secret store and signs here, in memory: hosts send signing requests
and get certificates back, so no private key crosses the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k3s_tui.core.errors import CredentialsError, Refused
from k3s_tui.core.secret import Secret
from k3s_tui.pki import algorithms
from k3s_tui.pki.profiles import LeafProfile

BACKDATED = timedelta(hours=1)
"""A host whose clock is behind must not see a certificate of the future."""

_USAGES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}


@dataclass(frozen=True)
class KeyPair:
    """A private key (PKCS#8 PEM) and its certificate (PEM)."""

    key: Secret
    certificate_pem: str


@dataclass(frozen=True)
class Authority:
    """A CA.  Ours is of P-256 and may sign leaves and nothing else (pathlen 0).

    Of somebody else's the key may be '' (it signs elsewhere), and `chain_pem` is what trust in it
    rests on: the certificate, and those above it up to the root.
    """

    key: Secret
    certificate_pem: str
    chain_pem: str = ""

    @property
    def ca_pem(self) -> str:
        """What a peer must be given to trust what it signs."""
        return self.chain_pem or self.certificate_pem

    @property
    def signs(self) -> bool:
        return bool(self.key)

    @classmethod
    def create(cls, name: str, days: int, now: datetime) -> Authority:
        """A new CA with the subject `CN=name`.  `now` is an aware datetime."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(subject, key.public_key(), now - BACKDATED, now + timedelta(days=days))
            .issuer_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
            .add_extension(ski, critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(_key_pem(key), _pem(certificate))

    @classmethod
    def from_pem(cls, key: Secret, certificate_pem: str) -> Authority:
        """The CA that was kept.  Raises CredentialsError when the two are not a P-256 CA."""
        hint = "restore the secret store and the CA certificate from the same backup"
        try:
            private = serialization.load_pem_private_key(key.reveal().encode(), password=None)
        except algorithms.UNREADABLE:
            # Not chained: the parser's message may quote what it could not read.
            raise CredentialsError("the CA's key cannot be read", hint=hint) from None
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
            may_sign = constraints.value.ca
            public = certificate.public_key()
        except algorithms.UNREADABLE as error:
            raise CredentialsError(
                f"the CA's certificate cannot be used: {error}", hint=hint
            ) from None
        if not may_sign:
            raise CredentialsError("the CA's certificate is not one of a CA", hint=hint)
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
            raise CredentialsError("the CA's key is not ECDSA P-256", hint=hint)
        if private.public_key() != public:
            raise CredentialsError("the CA's key and certificate do not belong together", hint=hint)
        return cls(key, certificate_pem)

    def sign(self, csr_pem: str, profile: LeafProfile, days: int, now: datetime) -> str:
        """A leaf certificate (PEM) for the request's public key, ending after `days` at most.

        Only the key is taken from the request, and only when the request proves to hold it.
        Raises Refused.
        """
        try:
            csr = x509.load_pem_x509_csr(csr_pem.encode())
            proven = csr.is_signature_valid
            public = csr.public_key()
        except algorithms.UNREADABLE as error:
            raise Refused(f"the signing request cannot be read: {error}") from None
        objection = algorithms.objection(public)
        if objection:
            raise Refused(objection, hint=algorithms.ADVICE)
        if not proven:
            raise Refused("the signing request is not signed by the key that it holds")
        return _pem(self._certify(public, profile, now, timedelta(days=days)))

    def issue_short_lived(self, profile: LeafProfile, now: datetime, minutes: int = 10) -> KeyPair:
        """A key made here, in memory, with a certificate that ends after `minutes`.

        For proofs: that a login works, and that one with the wrong name or CA does not.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certify(key.public_key(), profile, now, timedelta(minutes=minutes))
        return KeyPair(_key_pem(key), _pem(certificate))

    def _certify(
        self,
        public: CertificatePublicKeyTypes,
        profile: LeafProfile,
        now: datetime,
        life: timedelta,
    ) -> x509.Certificate:
        ca = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        if ca.not_valid_after_utc <= now:
            raise Refused(
                f"the CA's certificate ended on {ca.not_valid_after_utc:%Y-%m-%d}",
                hint="a new CA is needed; until then the datastore cannot be reached",
            )
        private = serialization.load_pem_private_key(self.key.reveal().encode(), password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise CredentialsError("the CA's key is neither ECDSA nor RSA")
        # No leaf outlives its CA: the last days would be a promise that nobody can keep.
        until = min(now + life, ca.not_valid_after_utc)
        builder = (
            _builder(_subject(profile), public, now - BACKDATED, until)
            .issuer_name(ca.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_USAGES[profile.usage]]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                _authority_key(ca),
                critical=False,
            )
        )
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in profile.dns]
        names += [x509.IPAddress(ip_address(address)) for address in profile.addresses]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(private, hashes.SHA256())


def _authority_key(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        named = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(_known_key(ca))
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named)


def _known_key(ca: x509.Certificate) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    key = ca.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise CredentialsError("the CA's key is neither ECDSA nor RSA")
    return key


def _builder(
    subject: x509.Name, public: CertificatePublicKeyTypes, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _subject(profile: LeafProfile) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, profile.common_name)]
    if profile.unit:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, profile.unit))
    return x509.Name(attributes)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> Secret:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Secret(pem.decode())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
