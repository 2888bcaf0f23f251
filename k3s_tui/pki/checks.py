"""Is somebody else's certificate fit for the datastore?  Each check by its name, for every reader.

Nothing is touched here and nothing is asked: what the operator brings is judged from its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from k3s_tui.core.secret import Secret
from k3s_tui.pki import algorithms, chain, inspect
from k3s_tui.pki.chain import SOON, Flaw, FlawCode, Way
from k3s_tui.pki.profiles import LeafProfile

Code: TypeAlias = Literal[
    "ca-unreadable",
    "ca-not-a-ca",
    "ca-no-root",
    "ca-time",
    "ca-usage",
    "path-length",
    "ca-ends-soon",
    "ca-key-unreadable",
    "ca-key-mismatch",
    "unreadable",
    "leaf-first",
    "is-ca",
    "chain",
    "time",
    "ends-soon",
    "names",
    "common-name",
    "usage",
    "key-usage",
    "algorithm",
    "key-unreadable",
    "key-exposed",
    "key-passphrase",
    "key-mismatch",
    "used-twice",
    "weak-hash",
    "long-lived",
    "no-authority-key",
]
Result: TypeAlias = Literal["ok", "warning", "failed"]

_LONG = timedelta(days=825)
"""The longest life that platforms accept from anybody; longer ones are forgotten."""

_USAGES = {"server": "server authentication", "client": "client authentication"}
_WEAK = ("md5", "sha1")


@dataclass(frozen=True)
class Checked:
    """One check of one certificate.  `text` says what was found, whatever the result."""

    code: Code
    result: Result
    text: str
    fix: str = ""


def of_authority(ca_pem: str, now: datetime) -> tuple[Checked, ...]:
    """Of a bundle: every certificate in it a CA's, and each has a way to a root that is in it."""
    try:
        # Names and numbers are parsed only when they are asked for, so all of it is in here.
        return tuple(_of_bundle(x509.load_pem_x509_certificates(ca_pem.encode()), now))
    except algorithms.UNREADABLE as error:
        fix = "PEM: it begins with -----BEGIN CERTIFICATE-----"
        return (Checked("ca-unreadable", "failed", f"it cannot be read: {error}", fix),)


def of_authority_key(key: Secret, ca_pem: str) -> tuple[Checked, ...]:
    """Of an unencrypted key (PEM): one of the CAs in the bundle is its own."""
    try:
        private = serialization.load_pem_private_key(key.reveal().encode(), password=None)
    except algorithms.UNREADABLE:
        fix = "an unencrypted or rightly decrypted PEM key"
        return (Checked("ca-key-unreadable", "failed", "the CA's key cannot be read", fix),)
    public = private.public_key()
    if objection := algorithms.objection(public):
        return (Checked("algorithm", "failed", objection, algorithms.ADVICE),)
    try:
        for certificate in x509.load_pem_x509_certificates(ca_pem.encode()):
            if certificate.public_key() == public:
                name = certificate.subject.rfc4514_string()
                return (Checked("ca-key-mismatch", "ok", f"the key is that of {name}"),)
    except algorithms.UNREADABLE as error:
        return (Checked("ca-unreadable", "failed", f"pki.ca cannot be read: {error}"),)
    fix = "give the key of a certificate in pki.ca"
    return (Checked("ca-key-mismatch", "failed", "no CA of the bundle has this key", fix),)


def of_leaf(
    leaf_pem: str,
    profile: LeafProfile,
    ca_pem: str,
    now: datetime,
    *,
    public_key: PublicKeyTypes | None = None,
    others: Sequence[str] = (),
) -> tuple[Checked, ...]:
    """Every check of one leaf, with what comes behind it in its file.

    `public_key` is that of the key it is for, None when nobody could look; `others` are the other
    leaves (PEM): PostgreSQL's must not be a client's.
    """
    try:
        found = x509.load_pem_x509_certificates(leaf_pem.encode())
        cas = x509.load_pem_x509_certificates(ca_pem.encode())
        seen = inspect.view(leaf_pem)
        leaf, *behind = found
        return (
            _order(behind),
            _about_ca(seen),
            *_chain(leaf, behind, cas, now),
            *_about_time(seen, now),
            _names(seen, profile),
            _common_name(seen, profile),
            _usage(seen, profile),
            _key_usage(leaf, profile),
            _algorithm(leaf, profile),
            *_about_key(leaf, public_key),
            _twice(leaf, others),
            *_advice(leaf, seen),
        )
    except algorithms.UNREADABLE as error:
        fix = "PEM: it begins with -----BEGIN CERTIFICATE-----"
        return (Checked("unreadable", "failed", f"it cannot be read: {error}", fix),)


def failed(checks: Sequence[Checked]) -> tuple[Checked, ...]:
    return tuple(check for check in checks if check.result == "failed")


def _of_bundle(certificates: list[x509.Certificate], now: datetime) -> Iterator[Checked]:
    cas = [c for c in certificates if chain.is_ca(c)]
    others = [c for c in certificates if c not in cas]
    if others:
        text = f"{chain.name(others[0])} is no CA's certificate"
        fix = "put the CA's certificates into the bundle, and nothing else"
        yield Checked("ca-not-a-ca", "failed", text, fix)
    else:
        yield Checked("ca-not-a-ca", "ok", f"{len(cas)} CA certificates")
    flaws: dict[FlawCode, Flaw] = {}
    lost: list[x509.Certificate] = []
    # One that is over is no harm where the bundle holds its successor, too.
    current = [ca for ca in cas if not _succeeded(ca, cas, now)]
    for ca in current:
        own: list[Way] = [(ca,)] if chain.is_root(ca) else []
        found = chain.best(own or [(ca, *way) for way in chain.ways(ca, cas)], now)
        if found is None:
            lost.append(ca)
        else:
            flaws = {flaw.code: flaw for flaw in found[1]} | flaws
    if lost:
        fix = f"add the certificate of {lost[0].issuer.rfc4514_string()} to the bundle"
        text = (
            f"the root above {chain.name(lost[0])} is not in the bundle: PostgreSQL trusts no other"
        )
        yield Checked("ca-no-root", "failed", text, fix)
    elif cas:
        yield Checked("ca-no-root", "ok", "each chain ends in a root of the bundle")
    yield from _flaws(flaws, current, now)


def _succeeded(ca: x509.Certificate, cas: list[x509.Certificate], now: datetime) -> bool:
    return any(
        chain.same_ca(ca, other)
        and ca.not_valid_after_utc < other.not_valid_after_utc
        and other.not_valid_before_utc <= now
        for other in cas
    )


def _flaws(
    found: Mapping[FlawCode, Flaw], cas: Sequence[x509.Certificate], now: datetime
) -> Iterator[Checked]:
    """What stands in the way of these CAs, each kind by its name, and what does not."""
    if not cas:
        return
    ends = min(ca.not_valid_after_utc for ca in cas)
    fine: dict[FlawCode, str] = {
        "ca-time": f"valid until {ends:%Y-%m-%d}",
        "ca-usage": "each may sign certificates",
        "path-length": "none is deeper than those above it allow",
        "ca-ends-soon": f"{(ends - now).days} days left",
    }
    for code, text in fine.items():
        flaw = found.get(code)
        if flaw is not None:
            result: Result = "warning" if code == "ca-ends-soon" else "failed"
            yield Checked(code, result, flaw.text, flaw.fix)
        elif code != "ca-ends-soon" or "ca-time" not in found:
            yield Checked(code, "ok", text)


def _order(behind: list[x509.Certificate]) -> Checked:
    leaves = [c for c in behind if not chain.is_ca(c)]
    if leaves:
        fix = "one leaf, and behind it the intermediate CAs that signed it"
        return Checked("leaf-first", "failed", "the file holds more than one leaf", fix)
    return Checked("leaf-first", "ok", f"one leaf, {len(behind)} intermediate")


def _about_ca(seen: inspect.CertificateView) -> Checked:
    if seen.is_ca:
        fix = "leaf first; and a CA's certificate must never be used to log in: it could sign more"
        return Checked("is-ca", "failed", "the first certificate is a CA's", fix)
    return Checked("is-ca", "ok", "not a CA's")


def _chain(
    leaf: x509.Certificate,
    behind: list[x509.Certificate],
    cas: list[x509.Certificate],
    now: datetime,
) -> Iterator[Checked]:
    """A way from the leaf to a root of the bundle; what stands behind the leaf is no root."""
    found = chain.best(chain.ways(leaf, cas, behind), now)
    if found is None:
        text = (
            f"it was signed by {_highest(leaf, [*cas, *behind])}, which leads to no root of pki.ca"
        )
        fix = "have it signed by that CA, or give its own as pki.ca"
        yield Checked("chain", "failed", text, fix)
        return
    way, flaws = found
    yield Checked("chain", "ok", f"signed by {chain.name(way[0])}")
    yield from _flaws({flaw.code: flaw for flaw in flaws}, way, now)


def _highest(leaf: x509.Certificate, known: list[x509.Certificate]) -> str:
    """Who signed the last one that can be found above it."""
    at, passed = leaf, {leaf}
    while True:
        above = next((c for c in known if c not in passed and chain.signed(at, c)), None)
        if above is None or not chain.is_ca(above):
            return at.issuer.rfc4514_string()
        passed.add(above)
        at = above


def _about_time(seen: inspect.CertificateView, now: datetime) -> Iterator[Checked]:
    dates = f"{seen.not_before:%Y-%m-%d} to {seen.not_after:%Y-%m-%d}"
    if now < seen.not_before or now >= seen.not_after:
        yield Checked("time", "failed", f"not valid now: {dates}", "have a new one signed")
        return
    yield Checked("time", "ok", dates)
    left = seen.not_after - now
    if left < SOON:
        yield Checked("ends-soon", "warning", f"it ends in {left.days} days", "have one signed")
    else:
        yield Checked("ends-soon", "ok", f"{left.days} days left")


def _names(seen: inspect.CertificateView, profile: LeafProfile) -> Checked:
    wanted = [f"DNS:{name}" for name in profile.dns]
    covered = {name.lower() for name in seen.names}
    missing = [w for w in wanted if w.lower() not in covered and not _by_wildcard(w, covered)]
    if missing:
        text = f"it does not name {', '.join(missing)}; it names {_list(seen.names)}"
        return Checked("names", "failed", text, "subject alternative names: K3s reads no other")
    return Checked("names", "ok", _list(seen.names) if wanted else "none needed")


def _by_wildcard(wanted: str, covered: set[str]) -> bool:
    _, _, parent = wanted.lower().removeprefix("dns:").partition(".")
    return "." in parent and f"dns:*.{parent}" in covered


def _common_name(seen: inspect.CertificateView, profile: LeafProfile) -> Checked:
    if profile.usage == "server":
        return Checked("common-name", "ok", f"CN={seen.common_name}, which nobody reads")
    if seen.common_name != profile.common_name:
        text = f"its CN is {seen.common_name!r}, not the database user {profile.common_name!r}"
        return Checked("common-name", "failed", text, "to the letter, upper and lower case, too")
    return Checked("common-name", "ok", f"CN={seen.common_name}, the database user")


def _usage(seen: inspect.CertificateView, profile: LeafProfile) -> Checked:
    wanted = _USAGES[profile.usage]
    if wanted not in seen.usages and "any" not in seen.usages:
        text = f"it is for {_list(seen.usages)}, not for {wanted}"
        name = "serverAuth" if profile.usage == "server" else "clientAuth"
        return Checked("usage", "failed", text, f"extended key usage {name}")
    return Checked("usage", "ok", _list(seen.usages))


def _key_usage(leaf: x509.Certificate, profile: LeafProfile) -> Checked:
    usage = chain.key_usage(leaf)
    if usage is None:
        return Checked("key-usage", "ok", "any")
    # An old RSA server's key may decipher instead of signing, to OpenSSL; a client's may not.
    rsa = profile.usage == "server" and algorithms.describe(leaf.public_key()).startswith("RSA")
    if usage.digital_signature or (rsa and usage.key_encipherment):
        return Checked("key-usage", "ok", "it may sign a handshake")
    text = "its key may not sign a handshake: its key usage lacks that"
    return Checked("key-usage", "failed", text, "key usage digitalSignature")


def _algorithm(leaf: x509.Certificate, profile: LeafProfile) -> Checked:
    objection = algorithms.objection(leaf.public_key())
    if not objection and profile.usage == "server":
        objection = algorithms.signature_objection(leaf.signature_algorithm_oid)
    if objection:
        return Checked("algorithm", "failed", objection, algorithms.ADVICE)
    return Checked("algorithm", "ok", algorithms.describe(leaf.public_key()))


def _about_key(leaf: x509.Certificate, public_key: PublicKeyTypes | None) -> Iterator[Checked]:
    if public_key is None:
        return
    if leaf.public_key() != public_key:
        text = "it does not belong to the key it is for"
        yield Checked("key-mismatch", "failed", text, "have the newest signing request signed")
    else:
        yield Checked("key-mismatch", "ok", "it belongs to its key")


def _twice(leaf: x509.Certificate, others: Sequence[str]) -> Checked:
    for other in others:
        if x509.load_pem_x509_certificate(other.encode()).public_key() == leaf.public_key():
            text = "another role has the same key: who steals one could be both"
            return Checked("used-twice", "failed", text, "one key for each host and role")
    return Checked("used-twice", "ok", "its key is its own")


def _advice(leaf: x509.Certificate, seen: inspect.CertificateView) -> Iterator[Checked]:
    algorithm = leaf.signature_hash_algorithm
    name = algorithm.name if algorithm else "none"
    if name in _WEAK:
        yield Checked("weak-hash", "warning", f"signed with {name}", "have it signed with SHA-256")
    else:
        yield Checked("weak-hash", "ok", name)
    life = seen.not_after - seen.not_before
    if life > _LONG:
        text = f"it lives for {life.days} days: who will remember to renew it?"
        yield Checked("long-lived", "warning", text, f"at most {_LONG.days} days")
    else:
        yield Checked("long-lived", "ok", f"{life.days} days")
    try:
        leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        text = "it does not name its CA's key: with two CAs of one name, chains may not be found"
        yield Checked("no-authority-key", "warning", text, "authority key identifier")
    else:
        yield Checked("no-authority-key", "ok", "it names its CA's key")


def _list(words: Sequence[str]) -> str:
    return ", ".join(words) or "nothing"
