"""Reading a certificate, whatever made it.  Looking is not judging: see `judge`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from k3s_tui.pki import algorithms


@dataclass(frozen=True)
class CertificateView:
    """What a certificate says.  Times are aware (UTC); `serial` is lower-case hex.

    `names` are subject alternative names as `DNS:…` and `IP:…`; `usages` are extended key usages
    in words (`server authentication`) or, when unknown, dotted numbers.
    """

    subject: str
    common_name: str
    unit: str
    names: tuple[str, ...]
    issuer: str
    key_type: str
    usages: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    fingerprint: str
    is_ca: bool


def view(pem: str) -> CertificateView:
    """The first certificate in `pem`.  Raises ValueError when there is none to be read."""
    try:
        return _view(x509.load_pem_x509_certificate(pem.encode()))
    except algorithms.UNREADABLE as error:
        raise ValueError(str(error)) from None


def _view(certificate: x509.Certificate) -> CertificateView:
    return CertificateView(
        subject=certificate.subject.rfc4514_string(),
        common_name=_attribute(certificate.subject, NameOID.COMMON_NAME),
        unit=_attribute(certificate.subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        names=_names(certificate),
        issuer=certificate.issuer.rfc4514_string(),
        key_type=algorithms.describe(certificate.public_key()),
        usages=_usages(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        is_ca=_is_ca(certificate),
    )


_USAGES = {
    "1.3.6.1.5.5.7.3.1": "server authentication",
    "1.3.6.1.5.5.7.3.2": "client authentication",
    "2.5.29.37.0": "any",
}


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """All values of an attribute: a second common name must not hide behind the first."""
    values = (attribute.value for attribute in name.get_attributes_for_oid(oid))
    return " + ".join(v if isinstance(v, str) else v.hex() for v in values)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    told: list[str] = []
    for name in names:
        match name:
            case x509.DNSName():
                told.append(f"DNS:{name.value}")
            case x509.IPAddress():
                told.append(f"IP:{name.value}")
            case _:
                told.append(f"{type(name).__name__}:{name.value}")
    return tuple(told)


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_USAGES.get(usage.dotted_string, usage.dotted_string) for usage in usages)


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
