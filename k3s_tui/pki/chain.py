"""From a certificate up to a root: every way there is, and what stands in it.

As OpenSSL looks for one, which is stricter than Go.  A CA whose time is over is no obstacle where
the bundle has another certificate of the same name and key; what comes with a leaf is looked into
only where the bundle has no issuer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from cryptography import x509

from k3s_tui.pki import algorithms

FlawCode: TypeAlias = Literal["ca-time", "ca-usage", "path-length", "ca-ends-soon"]

SOON = timedelta(days=30)
"""What ends within these is told: a chain has to hold for a while."""

_MOST = 64
"""Ways that are looked at: a bundle of cross-signed CAs may have more than anybody needs."""

Way: TypeAlias = tuple[x509.Certificate, ...]
"""CAs, each signed by the next; the last signed itself."""


@dataclass(frozen=True)
class Flaw:
    """Why a way does not hold; `ca-ends-soon`: why it will not hold for long."""

    code: FlawCode
    text: str
    fix: str = ""


def best(ways: Sequence[Way], now: datetime) -> tuple[Way, tuple[Flaw, ...]] | None:
    """The way in which least stands, and what that is; None without a way."""
    judged = [(way, tuple(flaws(way, now))) for way in ways]
    return min(judged, key=lambda one: _weight(one[1]), default=None)


def ways(
    certificate: x509.Certificate,
    trusted: Sequence[x509.Certificate],
    others: Sequence[x509.Certificate] = (),
) -> list[Way]:
    """Ways above a certificate to a root among the trusted, by names and signatures alone."""
    found: list[Way] = []
    pending: list[Way] = [(ca,) for ca in _issuers(certificate, trusted, others)]
    while pending and len(found) < _MOST:
        way = pending.pop(0)
        if is_root(way[-1]):
            found += [way] if way[-1] in trusted else []
        elif len(pending) < _MOST:
            above = _issuers(way[-1], trusted, others)
            pending += [(*way, ca) for ca in above if ca not in way]
    return found


def _issuers(
    certificate: x509.Certificate,
    trusted: Sequence[x509.Certificate],
    others: Sequence[x509.Certificate],
) -> list[x509.Certificate]:
    for cas in (trusted, others):
        if found := [ca for ca in dict.fromkeys(cas) if is_ca(ca) and signed(certificate, ca)]:
            return found
    return []


def flaws(way: Way, now: datetime) -> Iterator[Flaw]:
    """What stands in a way, at most one thing of each kind."""
    ended = [ca for ca in way if not ca.not_valid_before_utc <= now < ca.not_valid_after_utc]
    if ended:
        dates = (
            f"{ended[0].not_valid_before_utc:%Y-%m-%d} to {ended[0].not_valid_after_utc:%Y-%m-%d}"
        )
        yield Flaw("ca-time", f"{name(ended[0])} is not valid now ({dates})", "give its successor")
    for ca in way:
        if not _may_sign(ca):
            text = f"{name(ca)} may not sign certificates: its key usage lacks that"
            yield Flaw("ca-usage", text, "key usage keyCertSign")
            break
    below = 0
    for ca in way:
        most = _path_length(ca)
        if most is not None and below > most:
            text = f"{name(ca)} allows {most} intermediate CAs below it, and there are {below}"
            yield Flaw("path-length", text, "have a CA sign that is allowed to sign others")
            break
        below += ca.issuer != ca.subject
    first = min(way, key=lambda ca: ca.not_valid_after_utc)
    if not ended and first.not_valid_after_utc - now < SOON:
        left = (first.not_valid_after_utc - now).days
        text = f"{name(first)} ends in {left} days, and all below with it"
        yield Flaw("ca-ends-soon", text, "put its successor into the bundle in time")


def name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def is_root(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject and signed(certificate, certificate)


def same_ca(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether either may stand for the other: the same name and key."""
    return one.subject == other.subject and one.public_key() == other.public_key()


def signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except algorithms.UNREADABLE:
        return False
    return True


def is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except algorithms.UNREADABLE:
        return False


def key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    """None where it says nothing, which is for every use."""
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except algorithms.UNREADABLE:
        return None


def _may_sign(ca: x509.Certificate) -> bool:
    usage = key_usage(ca)
    return usage is None or usage.key_cert_sign


def _path_length(ca: x509.Certificate) -> int | None:
    return ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length


def _weight(found: Sequence[Flaw]) -> tuple[int, int]:
    failed = [flaw for flaw in found if flaw.code != "ca-ends-soon"]
    return len(failed), len(found)
