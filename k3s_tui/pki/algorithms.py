"""Which keys can be used with PostgreSQL, libpq and Go at the same time."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import SignatureAlgorithmOID

ADVICE = "use ECDSA P-256 (recommended), ECDSA P-384 or RSA with at least 2048 bits"

UNREADABLE: tuple[type[Exception], ...] = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises, sometimes only when a part is asked for, at bytes that make no sense."""

_SMALLEST_RSA = 2048


def describe(key: PublicKeyTypes) -> str:
    """The field's name of a key's type and size, such as `ECDSA P-256` or `RSA 3072`."""
    match key:
        case ec.EllipticCurvePublicKey():
            return {"secp256r1": "ECDSA P-256", "secp384r1": "ECDSA P-384"}.get(
                key.curve.name, f"ECDSA {key.curve.name}"
            )
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case ed448.Ed448PublicKey():
            return "Ed448"
        case _:
            return type(key).__name__.removesuffix("PublicKey").lstrip("_")


def signature_objection(algorithm: x509.ObjectIdentifier) -> str:
    """Why a server's certificate must not be signed by this algorithm, or ''."""
    named = {SignatureAlgorithmOID.ED25519: "Ed25519", SignatureAlgorithmOID.ED448: "Ed448"}
    if algorithm not in named:
        return ""
    return (
        f"it is signed with {named[algorithm]}, which breaks SCRAM channel binding: that needs the"
        " hash of the signature; PostgreSQL logins would fail"
    )


def objection(key: PublicKeyTypes) -> str:
    """Why this key cannot be used, or ''."""
    match key:
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            # Measured with libpq 15 to 18: "could not find digest for NID UNDEF".
            return (
                f"{describe(key)} keys break SCRAM channel binding, which needs a hash that "
                "their signatures do not name; PostgreSQL logins would fail"
            )
        case ec.EllipticCurvePublicKey() if key.curve.name in ("secp256r1", "secp384r1"):
            return ""
        case rsa.RSAPublicKey() if key.key_size >= _SMALLEST_RSA:
            return ""
        case _:
            return f"{describe(key)} keys are not accepted"
