"""The operator's key files: their public half and whether they need a passphrase.

Read without decrypting, so that a key which the agent holds never has its passphrase asked for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.errors import CredentialsError
from k3s_tui.core.files import at_home
from k3s_tui.hosts.sanitize import sanitize

DEFAULT_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")
"""What `ssh` looks for in ~/.ssh when nothing names a key; hardware keys come from the agent."""

_MAGIC = b"openssh-key-v1\0"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """`public` is the key's blob, None when only decrypting would tell.

    `private` is False for a public key file, whose private half an agent must hold.
    """

    path: Path
    public: bytes | None
    private: bool
    encrypted: bool

    @property
    def certificate(self) -> Path | None:
        """The user certificate that belongs to the key, when there is one beside it."""
        path = self.path.with_name(f"{self.path.name}-cert.pub")
        return path if path.exists() else None


def read_key_file(path: Path) -> KeyFile:
    """Raises CredentialsError when the file is missing, unreadable or not a key."""
    path = at_home(path)
    try:
        text = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: NUL in a path
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise CredentialsError(
            f"cannot read the SSH key {sanitize(str(path))}: {told}",
            hint='set identity to the path of a private key, or to "agent"',
        ) from None
    public = _public_line(text)
    if public is not None:
        return KeyFile(path, public, private=False, encrypted=False)
    if b"PRIVATE KEY-----" not in text:
        raise CredentialsError(f"{path} is not an SSH key", hint="set identity to a key's path")
    if b"BEGIN OPENSSH PRIVATE KEY" in text:
        public, encrypted = _openssh(text)
    else:
        encrypted = b"ENCRYPTED" in text
    if public is None:
        public = _beside(path)
    return KeyFile(path, public, private=True, encrypted=encrypted)


def existing(names: Sequence[str], folder: Path) -> list[KeyFile]:
    """Those of `names` in `folder` that are there and are keys."""
    found = []
    for name in names:
        try:
            found.append(read_key_file(folder / at_home(name)))
        except CredentialsError:
            continue
    return found


def _public_line(text: bytes) -> bytes | None:
    """The blob of a one-line public key, `type base64 comment`."""
    words = text.split(maxsplit=2)
    if len(words) < 2:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        return None
    return blob if blob[4:].startswith(words[0]) else None


def _beside(path: Path) -> bytes | None:
    try:
        return _public_line(path.with_name(f"{path.name}.pub").read_bytes())
    except OSError:
        return None


def _openssh(text: bytes) -> tuple[bytes | None, bool]:
    """Public blob and whether the private part is encrypted (PROTOCOL.key of OpenSSH)."""
    body = b"".join(line for line in text.splitlines() if not line.startswith(b"-----"))
    try:
        data = base64.b64decode(body)
    except binascii.Error:
        return None, False
    if not data.startswith(_MAGIC):
        return None, False
    cipher, rest = _string(data[len(_MAGIC) :])
    _kdf, rest = _string(rest)
    _options, rest = _string(rest)
    public, _ = _string(rest[4:])  # after the number of keys, which is always 1
    return public or None, cipher != b"none"


def _string(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:4], "big")
    return data[4 : 4 + length], data[4 + length :]
