"""Stores in the age format that open at once: the work factor of their passphrase is the least.

pyrage's own take a second each, which is right for an operator and too long for a fuzzer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from k3s_tui.core.errors import CredentialsError

_WORK = 1


def seal(content: bytes, passphrase: str) -> bytes:
    """`content` (less than 64 KiB) as age would encrypt it (age-encryption.org/v1)."""
    salt, file_key, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    wrapping = hashlib.scrypt(
        passphrase.encode(),
        salt=b"age-encryption.org/v1/scrypt" + salt,
        n=2**_WORK,
        r=8,
        p=1,
        dklen=32,
    )
    body = _b64(ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None))
    header = f"age-encryption.org/v1\n-> scrypt {_b64(salt)} {_WORK}\n{body}\n---".encode()
    mac = hmac.digest(_derived(file_key, None, b"header"), header, "sha256")
    payload = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    last_chunk = bytes(11) + b"\x01"
    return header + f" {_b64(mac)}\n".encode() + nonce + payload.encrypt(last_chunk, content, None)


def work(sealed: bytes) -> int:
    """The largest work factor that a store asks for: its logarithm."""
    found = re.findall(rb"scrypt \S+ (\d+)", sealed)
    return max((int(number) for number in found if len(number) < 9), default=0)


def opened(sealed: bytes, passphrase: str, path: Path) -> bytes:
    """Decrypted as the product's own process does it, with its errors."""
    try:
        return bytes(pyrage.passphrase.decrypt(sealed, passphrase))
    except pyrage.DecryptError:
        raise CredentialsError(f"{path} does not open") from None


def _derived(key: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")
