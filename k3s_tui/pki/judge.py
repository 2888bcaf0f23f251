"""Whether a leaf is still right: a predicate, so that a certificate which fits is left alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from k3s_tui.pki import algorithms, inspect
from k3s_tui.pki.profiles import LeafProfile

_USAGE = {"server": "server authentication", "client": "client authentication"}


def objections(
    leaf_pem: str,
    profile: LeafProfile,
    ca_pem: str,
    now: datetime,
    renew_before: timedelta,
    public_key_pem: str | None = None,
) -> list[str]:
    """Every reason why this leaf has to be issued anew; empty when it is right.

    `renew_before` is how long before its end it is no longer good enough.
    `public_key_pem` is the public part of the key beside it; None when nobody could look, '' when
    there is none.
    """
    try:
        seen = inspect.view(leaf_pem)
    except ValueError:
        return ["there is no certificate" if not leaf_pem.strip() else "it cannot be read"]
    leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
    ca = x509.load_pem_x509_certificate(ca_pem.encode())
    reasons = [
        *_about_issuer(leaf, ca),
        *_about_names(seen, profile),
        *_about_time(seen, ca.not_valid_after_utc, now, renew_before),
    ]
    objection = algorithms.objection(leaf.public_key())
    if objection:
        reasons.append(objection)
    if public_key_pem is not None and not _same_key(leaf, public_key_pem):
        reasons.append("it does not belong to the key beside it")
    return reasons


def _about_issuer(leaf: x509.Certificate, ca: x509.Certificate) -> list[str]:
    try:
        leaf.verify_directly_issued_by(ca)
    except algorithms.UNREADABLE:
        return [f"it is not signed by the CA {ca.subject.rfc4514_string()}"]
    return []


def _about_names(seen: inspect.CertificateView, profile: LeafProfile) -> list[str]:
    reasons = []
    if seen.common_name != profile.common_name:
        reasons.append(f"its common name is {seen.common_name!r}, not {profile.common_name!r}")
    if seen.unit != profile.unit:
        reasons.append(f"its unit is {seen.unit!r}, not {profile.unit!r}")
    wanted = {f"DNS:{name}" for name in profile.dns}
    wanted |= {f"IP:{ip_address(address)}" for address in profile.addresses}
    if set(seen.names) != wanted:
        reasons.append(f"its names are {_list(set(seen.names))}, not {_list(wanted)}")
    if seen.usages != (_USAGE[profile.usage],):
        reasons.append(f"it is for {_list(set(seen.usages))}, not for {_USAGE[profile.usage]}")
    if seen.is_ca:
        reasons.append("it is a CA's")
    return reasons


def _about_time(
    seen: inspect.CertificateView, ca_ends: datetime, now: datetime, renew_before: timedelta
) -> list[str]:
    if now < seen.not_before:
        return [f"it is not valid before {seen.not_before:%Y-%m-%d %H:%M} UTC"]
    left = seen.not_after - now
    if left <= timedelta(0):
        return [f"it ended on {seen.not_after:%Y-%m-%d}"]
    # One that ends with its CA cannot be had for longer: renewing it would never be done.
    if left < renew_before and seen.not_after < ca_ends:
        return [f"it ends in {left.days} days, on {seen.not_after:%Y-%m-%d}"]
    return []


def _same_key(leaf: x509.Certificate, public_key_pem: str) -> bool:
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        key = serialization.load_pem_public_key(public_key_pem.encode())
    except algorithms.UNREADABLE:
        return False
    return key.public_bytes(*spki) == leaf.public_key().public_bytes(*spki)


def _list(words: set[str]) -> str:
    return ", ".join(sorted(words)) or "nothing"
