"""PEM files of the operator's, read on the laptop: what cannot be read is a check that failed."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from k3s_tui.core.errors import CredentialsError
from k3s_tui.core.secret import Secret
from k3s_tui.pki.algorithms import UNREADABLE
from k3s_tui.pki.checks import Checked, Code

_LARGEST = 1 << 20

CA, CA_KEY = "pki.ca", "pki.ca-key"
"""What the files that the profile names are called in messages; leaves go by their own names."""

_CODES: dict[str, Code] = {CA: "ca-unreadable", CA_KEY: "ca-key-unreadable"}


class Unfit(CredentialsError):
    """`checked` is the check that failed, of the file called `name`."""

    def __init__(self, name: str, checked: Checked) -> None:
        super().__init__(f"{name}: {checked.code}: {checked.text}", hint=checked.fix)
        self.checked = checked


def certificates(path: Path, name: str) -> str:
    """The certificates alone (PEM), without what tools write around them.  Raises Unfit."""
    text = _text(path, name, _CODES.get(name, "unreadable"))
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except UNREADABLE:
        raise _unfit(
            name,
            _CODES.get(name, "unreadable"),
            "it holds no PEM certificate",
            "it begins with -----BEGIN CERTIFICATE-----",
        ) from None
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in found)


def request(path: Path, name: str) -> x509.CertificateSigningRequest:
    """Raises Unfit."""
    try:
        return x509.load_pem_x509_csr(_text(path, name, "unreadable").encode())
    except UNREADABLE:
        raise _unfit(name, "unreadable", f"{path} is no request") from None


def is_encrypted(path: Path, name: str) -> bool:
    """Whether a key file wants a passphrase.  Raises Unfit when others can read it, or nobody."""
    try:
        _load(_private(path, name), None)
    except TypeError:
        return True
    except UNREADABLE:
        return False  # whatever it is, it is not encrypted
    return False


def key(path: Path, name: str, passphrase: Secret | None) -> Secret:
    """A key file as unencrypted PKCS#8.  Raises Unfit."""
    text = _private(path, name)
    code = _CODES.get(name, "key-unreadable")
    try:
        found = _load(text, passphrase)
    except TypeError:
        raise passphrase_unfit(path, name, encrypted=passphrase is None) from None
    except UNREADABLE:
        # Not chained: the parser's message may quote what it could not read.
        told = (
            f"{path} holds no key that this passphrase opens"
            if passphrase
            else f"{path} holds no private key (PEM)"
        )
        raise _unfit(name, code, told) from None
    pem = found.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Secret(pem.decode())


def passphrase_unfit(path: Path, name: str, *, encrypted: bool) -> Unfit:
    """A passphrase is missing for an encrypted key, or there is one for another."""
    if name == CA_KEY:
        fix = 'give pki.ca-key-passphrase = "prompt:", and only for an encrypted key'
    else:
        fix = f"k3s-tui pki import asks for it; or take it off: openssl pkey -in {path} -out …"
    told = f"{path} is encrypted" if encrypted else f"{path} is not encrypted"
    return _unfit(name, "key-passphrase", told, fix)


def _private(path: Path, name: str) -> str:
    text = _text(path, name, _CODES.get(name, "key-unreadable"))
    if path.stat().st_mode & 0o077:
        raise _unfit(name, "key-exposed", f"others can read {path}", f"chmod 600 {path}")
    return text


def _load(text: str, passphrase: Secret | None) -> PrivateKeyTypes:
    password = passphrase.reveal().encode() if passphrase else None
    return serialization.load_pem_private_key(text.encode(), password)


def _text(path: Path, name: str, code: Code) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode()
    except UnicodeDecodeError:
        told, fix = f"{path} is not PEM", "convert it: openssl x509 -inform der, or openssl pkey"
        raise _unfit(name, code, told, fix) from None
    except OSError as error:
        told, fix = f"cannot read {path}: {error.strerror}", "paths begin at the profile's folder"
        raise _unfit(name, code, told, fix) from None


def _unfit(name: str, code: Code, text: str, fix: str = "") -> Unfit:
    return Unfit(name, Checked(code, "failed", text, fix))
