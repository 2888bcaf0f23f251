"""Encryption of the bootstrap data under the token, in K3s's format.

``salt:base64(nonce + AES-256-GCM)``, the key derived from the token by PBKDF2.
"""

from __future__ import annotations

import base64
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from .errors import Fatal

_NONCE = 12


def encrypt(plain: bytes, password: str) -> bytes:
    """``plain`` under a key derived from the token."""
    salt = secrets.token_hex(8)
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(_key(password, salt)).encrypt(nonce, plain, None)
    return salt.encode() + b":" + base64.b64encode(nonce + sealed)


def decrypt(value: bytes, password: str) -> bytes:
    """The reverse of :func:`encrypt`.

    Raises:
        Fatal: the token is another.
    """
    salt, _, encoded = value.partition(b":")
    sealed = base64.b64decode(encoded)
    try:
        key = _key(password, salt.decode())
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except InvalidTag as error:
        raise Fatal(
            "starting kubernetes: preparing server: bootstrap data already found and encrypted "
            "with different token"
        ) from error


def _key(password: str, salt: str) -> bytes:
    # SHA-1 and 4096 rounds are K3s's choice, kept for its format.
    derivation = PBKDF2HMAC(hashes.SHA1(), length=32, salt=salt.encode(), iterations=4096)
    return derivation.derive(password.encode())
