"""SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5802, RFC 7677).

They are computed on the laptop, so that the clear password reaches neither the server nor its log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

from k3s_tui.core.secret import Secret

ITERATIONS = 4096
"""PostgreSQL's own default; the password is random, so more would only slow each login down."""

_MOST = 1_000_000
"""Iterations that are tried, a second's work; a host may say any number."""

_SHAPE = re.compile(
    r"SCRAM-SHA-256\$([0-9]{1,10}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)"
)


def usable(password: Secret) -> bool:
    """Whether every client agrees about the password's bytes.

    Beyond printable ASCII, libpq and pgx normalize differently.
    """
    value = password.reveal()
    return bool(value) and value.isascii() and value.isprintable()


def verifier(password: Secret, *, salt: bytes = b"", iterations: int = ITERATIONS) -> Secret:
    """What `alter role … password` takes instead of the password; a fresh salt unless given."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.reveal().encode(), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    return Secret(f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}")


def matches(stored: Secret, password: Secret) -> bool:
    """Whether `stored` is a SCRAM verifier of `password`.

    An md5 one never is, nor one that would take for ever to tell.
    """
    shape = _SHAPE.fullmatch(stored.reveal())
    if shape is None:
        return False
    iterations = int(shape[1])
    if not 1 <= iterations <= _MOST:
        return False
    try:
        salt = base64.b64decode(shape[2], validate=True)
    except binascii.Error:
        return False
    return verifier(password, salt=salt, iterations=iterations) == stored


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
