"""A PKI that is the operator's: its CA, and the leaves that it signed, read on the laptop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
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
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.checks import Checked
from k3s_tui.pki.profiles import LeafProfile, datastore_client, datastore_server
from k3s_tui.procedure import own_files
from k3s_tui.procedure.own_files import CA, CA_KEY, Unfit
from k3s_tui.profile.model import Profile
from k3s_tui.profile.neighbours import exclusive, pki_folder
from k3s_tui.resources.given_certificate import Leaf

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
    leaves = {DATASTORE: of_datastore(profile)}
    for name in profile.servers:
        leaves[client_name(name)] = datastore_client(profile.datastore.user, name)
    return leaves


def of_datastore(profile: Profile, addresses: Iterable[str] = ()) -> LeafProfile:
    """What PostgreSQL's certificate must say: the names in the profile, and `addresses`."""
    return datastore_server(profile.datastore.hostname, addresses, profile.pki.datastore_san)


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
    found = {CA: judged_authority(authority, now)}
    _refuse(found | judged(profile, authority.ca_pem, leaves, now))
    return OwnPki(authority, leaves)


def offline(profile: Profile, path: Path) -> None:
    """As `read`, as far as that goes without asking anybody for a passphrase."""
    if profile.pki.ca_key_passphrase is None:
        read(profile, path)
        return
    authority = read_bundle(profile, path)
    found = {CA: judged_authority(authority, datetime.now(UTC))}
    _refuse(found | {CA_KEY: judged_authority_key(profile, path, authority.ca_pem)})


def read_bundle(profile: Profile, path: Path) -> Authority:
    """The CA without its key."""
    without = msgspec.structs.replace(profile.pki, ca_key=None, ca_key_passphrase=None)
    return read_authority(msgspec.structs.replace(profile, pki=without), path)


def read_authority(profile: Profile, path: Path, passphrase: Secret | None = None) -> Authority:
    """The bundle, and of it the CA that signs here, if one does."""
    pki = profile.pki
    if pki.ca is None:
        raise CredentialsError("pki.ca is not given yet")
    bundle = own_files.certificates(path.parent / at_home(pki.ca), CA)
    if pki.ca_key is None:
        return Authority(Secret(""), bundle, bundle)
    key = own_files.key(path.parent / at_home(pki.ca_key), CA_KEY, passphrase)
    _refuse({CA_KEY: checks.of_authority_key(key, bundle)})
    public = serialization.load_pem_private_key(key.reveal().encode(), None).public_key()
    cas = x509.load_pem_x509_certificates(bundle.encode())
    # Of a renewed one the bundle may hold the old certificate, too.
    own = max((c for c in cas if c.public_key() == public), key=lambda c: c.not_valid_after_utc)
    return Authority(key, own.public_bytes(serialization.Encoding.PEM).decode(), bundle)


def judged_authority_key(profile: Profile, path: Path, ca_pem: str) -> tuple[Checked, ...]:
    """The CA's key, as far as that goes without asking anybody for a passphrase."""
    pki = profile.pki
    if pki.ca_key is None:
        return ()
    file = path.parent / at_home(pki.ca_key)
    try:
        if pki.ca_key_passphrase is not None and own_files.is_encrypted(file, CA_KEY):
            told = "it is encrypted: whose key it is shows once the run knows its passphrase"
            return (Checked("key-passphrase", "warning", told),)
        key = own_files.key(file, CA_KEY, None)
        if pki.ca_key_passphrase is not None:
            raise own_files.passphrase_unfit(file, CA_KEY, encrypted=False)
        return checks.of_authority_key(key, ca_pem)
    except Unfit as unfit:
        return (unfit.checked,)


def encrypted_keys(profile: Profile, folder: Path) -> dict[str, Path]:
    """Of the keys beside leaves in a folder: those that want a passphrase.  Raises Unfit."""
    keys = {name: folder / f"{name}.key" for name in expected(profile)}
    return {
        name: key
        for name, key in keys.items()
        if key.exists() and own_files.is_encrypted(key, name)
    }


def read_leaves(
    profile: Profile, folder: Path, passphrases: Mapping[str, Secret] | None = None
) -> dict[str, Leaf]:
    """Those of the expected leaves that lie in a folder, as NAME.crt (or .pem) and NAME.key if any.

    `passphrases` are those of keys, by name.  Raises Unfit for what is there and cannot be read.
    """
    leaves = {}
    for name in expected(profile):
        file = folder / f"{name}.key"
        given = [at for end in ("crt", "pem") if (at := folder / f"{name}.{end}").exists()]
        if not given:
            continue
        pem = own_files.certificates(given[0], name)
        passphrase = (passphrases or {}).get(name)
        leaves[name] = Leaf(pem, own_files.key(file, name, passphrase) if file.exists() else None)
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
            keys[name] = own_files.request(path, name).public_key()
    return keys


def with_kept_keys(path: Path, leaves: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """Leaves that came without a key have the one that is beside the profile, where it is theirs.

    A pair from elsewhere is renewed by its certificate alone, and the kept key may be the only one.
    Raises Unfit for one that others can read, or that is encrypted.
    """
    kept = {}
    for name, leaf in leaves.items():
        key = None if leaf.key is not None else _kept_key(path, name)
        kept[name] = replace(leaf, key=key) if key and _is_its_key(leaf, key) else leaf
    return kept


def take(path: Path, leaves: Mapping[str, Leaf]) -> tuple[str, ...]:
    """Put leaves beside the profile, from where `read` takes them.

    The names of those whose earlier key went away, since they have none.
    """
    folder = pki_folder(path)
    folder.mkdir(mode=0o700, exist_ok=True)
    gone = []
    with exclusive(folder):  # or a run that sweeps would take the file away while it is written
        for name, leaf in leaves.items():
            file = folder / f"{name}.key"
            if leaf.key is not None:
                write_atomically(file, leaf.key.reveal().encode())
            elif file.exists():
                file.unlink()
                gone.append(name)
            write_atomically(folder / f"{name}.crt", leaf.certificate_pem.encode(), 0o644)
    return tuple(gone)


def _kept_key(path: Path, name: str) -> Secret | None:
    file = pki_folder(path) / f"{name}.key"
    try:
        return own_files.key(file, name, None) if file.exists() else None
    except Unfit as unfit:
        if unfit.checked.code == "key-unreadable":
            return None  # whatever it is, it is nobody's key
        raise


def _is_its_key(leaf: Leaf, key: Secret) -> bool:
    private = serialization.load_pem_private_key(key.reveal().encode(), None)
    certificate = x509.load_pem_x509_certificate(leaf.certificate_pem.encode())
    return private.public_key() == certificate.public_key()


def _refuse(found: Mapping[str, tuple[Checked, ...]]) -> None:
    """Raises CredentialsError, with every check that failed."""
    told = [words for name, checked in found.items() for words in _failures(name, checked)]
    if told:
        raise CredentialsError("; ".join(told), hint="docs/how-to/own-pki.md explains each check")


def _failures(name: str, found: Iterable[Checked]) -> Iterator[str]:
    for check in found:
        if check.result == "failed":
            yield f"{name}: {check.code}: {check.text}"
