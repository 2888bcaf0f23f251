"""A PKI that is the operator's: its CA, and the leaves that it signed, read on the laptop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from k3s_tui.core.errors import CredentialsError
from k3s_tui.core.files import at_home, write_atomically
from k3s_tui.core.secret import Secret
from k3s_tui.pki import checks
from k3s_tui.pki.algorithms import UNREADABLE
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.checks import Checked
from k3s_tui.pki.profiles import LeafProfile, datastore_client, datastore_server
from k3s_tui.profile.model import Profile
from k3s_tui.profile.neighbours import exclusive, pki_folder
from k3s_tui.resources.given_certificate import Leaf

_LARGEST = 1 << 20
DATASTORE = "datastore"
"""The name of PostgreSQL's own certificate among the files."""


@dataclass(frozen=True)
class OwnPki:
    """`leaves` are by `datastore` or `server-NAME`; one that has not come is not there."""

    authority: Authority
    leaves: Mapping[str, Leaf] = field(default_factory=dict)


def client_name(server: str) -> str:
    return f"server-{server}"


def expected(profile: Profile) -> dict[str, LeafProfile]:
    """What each certificate must say, by its name among the files.

    PostgreSQL's address is not demanded: K3s asks for the name.
    """
    wanted = profile.datastore
    leaves = {DATASTORE: datastore_server(wanted.hostname)}
    for name in profile.servers:
        leaves[client_name(name)] = datastore_client(wanted.user, name)
    return leaves


def host_of(profile: Profile, name: str) -> str:
    """On which host a certificate belongs."""
    return profile.datastore_host if name == DATASTORE else name.removeprefix("server-")


def read(profile: Profile, path: Path, passphrase: Secret | None = None) -> OwnPki:
    """The CA, and the leaves that were imported.  Raises CredentialsError, with every failed check.

    `passphrase` is that of the CA's key.
    """
    authority = read_authority(profile, path, passphrase)
    leaves = {} if profile.pki.ca_key else read_leaves(profile, pki_folder(path))
    now = datetime.now(UTC)
    told = list(_failures("pki.ca", judged_authority(authority, now)))
    for name, checked in judged(profile, authority.ca_pem, leaves, now).items():
        told += _failures(name, checked)
    if told:
        raise CredentialsError("; ".join(told), hint="docs/how-to/own-pki.md explains each check")
    return OwnPki(authority, leaves)


def offline(profile: Profile, path: Path) -> None:
    """As `read`, as far as that goes without asking anybody for a passphrase."""
    if profile.pki.ca_key_passphrase is None:
        read(profile, path)
    else:
        read_bundle(profile, path)


def read_bundle(profile: Profile, path: Path) -> Authority:
    """The CA without its key."""
    without = msgspec.structs.replace(profile.pki, ca_key=None, ca_key_passphrase=None)
    return read_authority(msgspec.structs.replace(profile, pki=without), path)


def read_authority(profile: Profile, path: Path, passphrase: Secret | None = None) -> Authority:
    """The bundle, and of it the CA that signs here, if one does."""
    pki = profile.pki
    if pki.ca is None:
        raise CredentialsError("pki.ca is not given yet")
    bundle = _normalized(_text(path.parent / at_home(pki.ca), "pki.ca"), "pki.ca")
    if pki.ca_key is None:
        return Authority(Secret(""), bundle, bundle)
    key = _key(path.parent / at_home(pki.ca_key), "pki.ca-key", passphrase)
    told = list(_failures("pki.ca-key", checks.of_authority_key(key, bundle)))
    if told:
        raise CredentialsError("; ".join(told), hint="docs/how-to/own-pki.md explains each check")
    public = serialization.load_pem_private_key(key.reveal().encode(), None).public_key()
    own = next(c for c in _certificates(bundle) if c.public_key() == public)
    return Authority(key, own.public_bytes(serialization.Encoding.PEM).decode(), bundle)


def read_leaves(profile: Profile, folder: Path) -> dict[str, Leaf]:
    """Those of the expected leaves that lie in a folder, as NAME.crt (or .pem) and NAME.key if any.

    Raises CredentialsError for what is there and cannot be read.
    """
    leaves = {}
    for name in expected(profile):
        key = folder / f"{name}.key"
        given = [at for end in ("crt", "pem") if (at := folder / f"{name}.{end}").exists()]
        if not given:
            continue
        certificate = given[0]
        pem = _normalized(_text(certificate, name), name)
        leaves[name] = Leaf(pem, _key(key, name, None) if key.exists() else None)
    return leaves


def judged_authority(authority: Authority, now: datetime) -> tuple[Checked, ...]:
    return checks.of_authority(authority.ca_pem, now)


def judged(
    profile: Profile,
    ca_pem: str,
    leaves: Mapping[str, Leaf],
    now: datetime,
    requested: Mapping[str, PublicKeyTypes] | None = None,
) -> dict[str, tuple[Checked, ...]]:
    """Every check of every leaf that is there.

    `requested` are the keys of the signing requests, by name, for leaves that bring none.
    """
    found = {}
    for name, wanted in expected(profile).items():
        if name not in leaves:
            continue
        leaf = leaves[name]
        public = (requested or {}).get(name)
        if leaf.key is not None:
            private = serialization.load_pem_private_key(leaf.key.reveal().encode(), None)
            public = private.public_key()
        others = [other.certificate_pem for key, other in leaves.items() if key != name]
        found[name] = checks.of_leaf(
            leaf.certificate_pem,
            wanted,
            ca_pem,
            now,
            public_key=public,
            others=others,
        )
    return found


def read_requests(profile: Profile, folder: Path) -> dict[str, PublicKeyTypes]:
    """The keys that NAME.csr in a folder are for, where there are such."""
    keys: dict[str, PublicKeyTypes] = {}
    for name in expected(profile):
        path = folder / f"{name}.csr"
        if path.exists():
            try:
                keys[name] = x509.load_pem_x509_csr(_text(path, name).encode()).public_key()
            except UNREADABLE:
                raise CredentialsError(f"{name}: unreadable: {path} is no request") from None
    return keys


def take(path: Path, leaves: Mapping[str, Leaf]) -> None:
    """Put leaves beside the profile, from where `read` takes them."""
    folder = pki_folder(path)
    folder.mkdir(mode=0o700, exist_ok=True)
    with exclusive(folder):  # or a run that sweeps would take the file away while it is written
        for name, leaf in leaves.items():
            if leaf.key is not None:
                write_atomically(folder / f"{name}.key", leaf.key.reveal().encode())
            else:
                (folder / f"{name}.key").unlink(missing_ok=True)
            write_atomically(folder / f"{name}.crt", leaf.certificate_pem.encode(), 0o644)


def _failures(name: str, found: Iterable[Checked]) -> Iterator[str]:
    for check in found:
        if check.result == "failed":
            yield f"{name}: {check.code}: {check.text}"


def _certificates(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode())


def _normalized(text: str, name: str) -> str:
    """The certificates alone, without what tools write around them."""
    try:
        found = _certificates(text)
    except UNREADABLE:
        raise CredentialsError(
            f"{name}: unreadable: it holds no PEM certificate",
            hint="it begins with -----BEGIN CERTIFICATE-----",
        ) from None
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in found)


def _key(path: Path, name: str, passphrase: Secret | None) -> Secret:
    """A key file as unencrypted PKCS#8."""
    text = _text(path, name)
    if path.stat().st_mode & 0o077:
        raise CredentialsError(
            f"{name}: key-exposed: others can read {path}", hint=f"chmod 600 {path}"
        )
    password = passphrase.reveal().encode() if passphrase else None
    try:
        key = serialization.load_pem_private_key(text.encode(), password)
    except TypeError:
        raise CredentialsError(
            f"{name}: key-passphrase: {path} is encrypted"
            if password is None
            else f"{name}: key-passphrase: {path} is not encrypted",
            hint='give pki.ca-key-passphrase = "prompt:", and only for an encrypted key',
        ) from None
    except UNREADABLE:
        # Not chained: the parser's message may quote what it could not read.
        raise CredentialsError(
            f"{name}: key-unreadable: {path} holds no key that this passphrase opens"
            if password
            else f"{name}: key-unreadable: {path} holds no private key (PEM)"
        ) from None
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Secret(pem.decode())


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode()
    except UnicodeDecodeError:
        raise CredentialsError(
            f"{name}: unreadable: {path} is not PEM", hint="convert it: openssl x509 -inform der"
        ) from None
    except OSError as error:
        raise CredentialsError(
            f"{name}: unreadable: cannot read {path}: {error.strerror}",
            hint="paths begin at the profile's own folder",
        ) from None
