"""A server's certificate that is there already: can K3s trust it, and by which CA?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from k3s_tui.pki import chain, checks
from k3s_tui.pki.algorithms import UNREADABLE
from k3s_tui.pki.checks import Checked
from k3s_tui.pki.profiles import LeafProfile, datastore_server

Why: TypeAlias = Literal["unreadable", "self-signed", "ca-unknown", "unfit"]


@dataclass(frozen=True)
class Kept:
    """`ca_pem` leads from the certificate's issuer to a root, both included."""

    ca_pem: str


@dataclass(frozen=True)
class Unfit:
    """`text` begins with a verb: what is wrong with it.  `failed` are the checks behind it."""

    why: Why
    text: str
    failed: tuple[Checked, ...] = ()


def judged(
    certificate_pem: str,
    hostname: str,
    known_pem: str,
    now: datetime,
    given_pem: str = "",
    more: Iterable[str] = (),
) -> Kept | Unfit:
    """`known_pem` are certificates among which its CA may be; `given_pem` are those that it is.

    What stands behind the leaf in its own file counts as known.  `more` are names and addresses
    that it must be good for beside `hostname`.
    """
    wanted = datastore_server(hostname, more=more)
    try:
        return _judged(certificate_pem, wanted, known_pem, now, given_pem)
    except UNREADABLE:  # names and numbers are parsed only when they are asked for
        return Unfit("unreadable", "cannot be read as PEM")


def _judged(
    certificate_pem: str, wanted: LeafProfile, known_pem: str, now: datetime, given_pem: str
) -> Kept | Unfit:
    leaf, *behind = x509.load_pem_x509_certificates(certificate_pem.encode())
    if leaf.issuer == leaf.subject and not given_pem:
        return Unfit("self-signed", "is signed by itself: no CA vouches for it")
    known = certificates(given_pem) if given_pem else certificates(known_pem)
    ways = chain.ways(leaf, [*behind, *known])
    if not ways:
        issuer = leaf.issuer.rfc4514_string()
        return Unfit("ca-unknown", f"was signed by {issuer}, whose certificates are not all known")
    # A CA that was renewed, or signed by another one too, has several: one that is valid is enough.
    found = [_fit(certificate_pem, wanted, leaf, pem([*way]), now) for way in ways]
    return next((one for one in found if isinstance(one, Kept)), found[0])


def _fit(
    certificate_pem: str, wanted: LeafProfile, leaf: x509.Certificate, ca_pem: str, now: datetime
) -> Kept | Unfit:
    """`ca_pem` is one way from the leaf's issuer to a root."""
    found = checks.of_leaf(certificate_pem, wanted, ca_pem, now)
    failed = tuple(
        # What says nothing about its use is for every use, to Go and to OpenSSL.
        check
        for check in checks.failed(found)
        if check.code != "usage" or _says_usage(leaf)
    )
    failed += checks.failed(checks.of_authority(ca_pem, now))
    if failed:
        return Unfit("unfit", f"is not fit: {'; '.join(check.text for check in failed)}", failed)
    return Kept(ca_pem)


_BLOCK = re.compile(
    r"^-----BEGIN ((?:X509 )?CERTIFICATE)-----\s(?:(?!-----).)*^-----END \1-----",
    re.MULTILINE | re.DOTALL,
)


def certificates(text: str) -> list[x509.Certificate]:
    """Those in a PEM text that can be read; others may be there, of which nothing is said.

    A TRUSTED CERTIFICATE of OpenSSL's may be trusted for some uses only, and is none of them.
    """
    blocks = (found[0] for found in _BLOCK.finditer(text))
    return [one for block in blocks if (one := _read(block)) is not None]


def _read(block: str) -> x509.Certificate | None:
    try:
        found = x509.load_pem_x509_certificate(block.encode())
        _ = found.subject, found.issuer  # parsed only when they are asked for
    except UNREADABLE:
        return None
    return found


def pem(found: list[x509.Certificate]) -> str:
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in found)


def bundle(theirs: str, ours: str) -> str:
    """`theirs` (PEM) as it stands, and after it what of `ours` is not in it yet.

    Kept as text, since OpenSSL takes more than we can read: what we made anew of it might lack one.
    """
    if not theirs:
        return ours
    there = certificates(theirs)
    wanted = x509.load_pem_x509_certificates(ours.encode())
    added = pem([one for one in wanted if one not in there])
    gap = "\n" if added and not theirs.endswith("\n") else ""
    return f"{theirs}{gap}{added}"


def _says_usage(leaf: x509.Certificate) -> bool:
    try:
        leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except UNREADABLE:
        return False
    return True
