"""The files of a database that is somebody else's, read on the laptop first of all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.errors import CredentialsError
from k3s_tui.core.files import at_home
from k3s_tui.core.secret import Secret
from k3s_tui.pki.authority import KeyPair
from k3s_tui.profile.model import Profile

_LARGEST = 1 << 20


@dataclass(frozen=True)
class DatabaseFiles:
    """`ca_pem` signs the database's certificate; `pair` is the client's, None without one."""

    ca_pem: str = ""
    pair: KeyPair | None = None


NO_FILES = DatabaseFiles()


def read(profile: Profile, profile_path: Path) -> DatabaseFiles:
    """Nothing where the profile names none.  Raises CredentialsError, which names the setting."""
    wanted = profile.datastore
    if wanted.mode == "embedded" or wanted.ca is None:
        return NO_FILES
    folder = profile_path.parent
    ca = _certificates(folder, wanted.ca, "datastore.ca")
    if wanted.client_certificate is None or wanted.client_key is None:
        return DatabaseFiles(ca)
    certificate = _certificates(folder, wanted.client_certificate, "datastore.client-certificate")
    key = _key(folder, wanted.client_key, certificate)
    return DatabaseFiles(ca, KeyPair(key, certificate))


def _certificates(folder: Path, name: str, setting: str) -> str:
    from cryptography import x509

    from k3s_tui.pki.algorithms import UNREADABLE

    text = _text(folder, name, setting)
    try:
        x509.load_pem_x509_certificates(text.encode())
    except UNREADABLE:
        raise CredentialsError(
            f"{setting}: {name} holds no PEM certificate",
            hint="it begins with -----BEGIN CERTIFICATE-----",
        ) from None
    return text


def _key(folder: Path, name: str, certificate_pem: str) -> Secret:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    from k3s_tui.pki.algorithms import UNREADABLE

    setting = "datastore.client-key"
    path = folder / at_home(name)
    text = _text(folder, name, setting)
    if path.stat().st_mode & 0o077:
        raise CredentialsError(f"{setting}: others can read {path}", hint=f"chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except UNREADABLE:
        # Not chained: the parser's message may quote what it could not read.
        raise CredentialsError(
            f"{setting}: {name} holds no private key that K3s can read",
            hint="PEM without a passphrase: nobody is there to type it when K3s starts",
        ) from None
    if x509.load_pem_x509_certificates(certificate_pem.encode())[0].public_key() != (
        key.public_key()
    ):
        raise CredentialsError(f"{setting}: {name} does not belong to the client certificate")
    return Secret(text)


def _text(folder: Path, name: str, setting: str) -> str:
    path = folder / at_home(name)
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode()
    except UnicodeDecodeError:
        raise CredentialsError(
            f"{setting}: {path} is not PEM", hint="convert it: openssl x509 -inform der"
        ) from None
    except OSError as error:
        raise CredentialsError(
            f"{setting}: cannot read {path}: {error.strerror}",
            hint="paths begin at the profile's own folder",
        ) from None
