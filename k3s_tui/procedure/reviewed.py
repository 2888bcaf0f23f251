"""One certificate as an operator reviews it: what would be issued, and what there is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from k3s_tui.pki.checks import Checked
from k3s_tui.pki.inspect import CertificateView

Role: TypeAlias = Literal["ca", "datastore", "server-client"]
What: TypeAlias = Literal["certificate", "key", "ca-certificate", "ca-key"]

OPERATOR = "operator"
"""The owner of files on the laptop."""


@dataclass(frozen=True)
class Place:
    """A file on a host, or on the laptop, and what it holds.  `host` is '' while none is chosen."""

    host: str
    path: str
    owner: str
    mode: str
    what: What


@dataclass(frozen=True)
class Certificate:
    """One certificate of the cluster's datastore.

    The fields up to `places` describe what would be issued now; its serial number and fingerprint
    are None: known after issue.  `there` is what exists, sanitized; `objections` are the reasons
    why that is replaced.  `looked` tells whether anybody has looked for it yet.  `setting` is the
    setting that the common name must equal, '' for the CA.  `names` are as in CertificateView;
    with `address_later` an IP address joins them once the host has said which it has.
    `refused` is why it cannot be issued, or ''.
    """

    role: Role
    title: str
    host: str
    subject: str
    common_name: str
    names: tuple[str, ...]
    address_later: bool
    issuer: str
    key_type: str
    usages: tuple[str, ...]
    key_usages: tuple[str, ...]
    days: int
    renew_days: int
    not_before: datetime
    not_after: datetime
    setting: str
    wanted: str
    """That setting's value."""
    places: tuple[Place, ...]
    refused: str = ""
    serial: None = None
    fingerprint: None = None
    looked: bool = False
    there: CertificateView | None = None
    objections: tuple[str, ...] = ()
    pem: str = ""
    """The one that is there."""
    ca_ends: datetime | None = None
    """None for the CA itself."""
    given: bool = False
    """Made elsewhere: `there` is what was brought, and `checks` what is to be said of it."""
    checks: tuple[Checked, ...] = ()
    may_stay: bool = False
    """Whether one that PostgreSQL has already would stay, rather than this one be issued."""
    theirs: bool = False
    """It is so: `issuer` is its CA, and the rest of what would be issued means nothing."""
    reviewed_as: str = ""
    """Its review key before anybody knew of that."""

    @property
    def id(self) -> str:
        """Stable: `ca`, `datastore`, `server-client/NAME`."""
        return f"{self.role}/{self.host}" if self.role == "server-client" else self.role

    @property
    def kept(self) -> bool:
        """Whether the one that is there stays."""
        return self.there is not None and not self.objections

    @property
    def matches(self) -> bool:
        """Whether what would be issued has the name that the setting asks for."""
        return not self.refused and self._has_name(self.common_name, self.names)

    @property
    def there_matches(self) -> bool | None:
        """The same of the one that is there; None without one."""
        if self.there is None:
            return None
        return self._has_name(self.there.common_name, self.there.names)

    @property
    def renews_from(self) -> datetime | None:
        """From when on a run replaces it; None for one that no run replaces."""
        if self.theirs:
            return None
        until = self.there.not_after if self.there is not None and self.kept else self.not_after
        # One that ends with its CA cannot be had for longer.
        if self.given or self.ca_ends is None or until >= self.ca_ends:
            return None
        return until - timedelta(days=self.renew_days)

    @property
    def replaces(self) -> str | None:
        """What makes way for it, '' for nothing; None when nobody has looked yet."""
        if not self.looked and self.there is None:
            return None
        if self.kept or not self.objections:
            return ""
        reasons = "; ".join(self.objections)
        if self.there is None:
            return reasons
        return f"serial {self.there.serial}, until {self.there.not_after:%Y-%m-%d}: {reasons}"

    def _has_name(self, common_name: str, names: Sequence[str]) -> bool:
        if self.role == "datastore" and f"DNS:{self.wanted}" not in names:
            return False
        return self.role == "ca" or common_name == self.wanted


class Dated(Protocol):
    """A certificate, or the view of one."""

    @property
    def not_before(self) -> datetime: ...

    @property
    def not_after(self) -> datetime: ...


@dataclass(frozen=True)
class Life:
    """`elapsed` is a part of 1; `days_left` is negative for one that has ended."""

    elapsed: float
    days_left: int


def life(dated: Dated, now: datetime) -> Life:
    """How far a certificate has come."""
    whole = dated.not_after - dated.not_before
    elapsed = (now - dated.not_before) / whole if whole > timedelta(0) else 1.0
    return Life(min(max(elapsed, 0.0), 1.0), (dated.not_after - now).days)


def export(certificate: Certificate) -> str | None:
    """The public part (PEM) of the one that is there; None without one."""
    if not certificate.pem:
        return None
    found = x509.load_pem_x509_certificate(certificate.pem.encode())
    return found.public_bytes(serialization.Encoding.PEM).decode()


def review_key(certificate: Certificate) -> str:
    """A digest of all that is reviewed of what will be issued; time does not change it."""
    if certificate.reviewed_as:
        return certificate.reviewed_as
    reviewed = (
        *(certificate.role, certificate.host, certificate.subject, certificate.names),
        *(certificate.address_later, certificate.issuer, certificate.key_type),
        *(certificate.usages, certificate.key_usages, certificate.days, certificate.renew_days),
        [(p.host, p.path, p.owner, p.mode, p.what) for p in certificate.places],
        certificate.refused,
        certificate.there.fingerprint if certificate.given and certificate.there else "",
    )
    return hashlib.sha256(json.dumps(reviewed).encode()).hexdigest()
