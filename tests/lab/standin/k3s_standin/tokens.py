"""Cluster tokens: the short form, the secure form, and what is derived from them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from .errors import Fatal

_BOOTSTRAP_SHAPE = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_SECURE = re.compile(r"K10([0-9a-f]{64})::(?:([^:]+):)?(.+)", re.DOTALL)


@dataclass(frozen=True)
class Token:
    """A parsed token: its password, and the CA hash and user where it names them."""

    password: str
    user: str = ""
    ca_hash: str = ""


def parse(text: str) -> Token:
    """Take a token of either form apart.

    Raises:
        Fatal: it starts like the secure form and is none, or looks like a kubeadm token.
    """
    if match := _SECURE.fullmatch(text):
        return Token(match[3], match[2] or "", match[1])
    if text.startswith("K10") or _BOOTSTRAP_SHAPE.fullmatch(text):
        raise Fatal(
            "failed to normalize server token; must be in format "
            "K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>"
        )
    return Token(text)


def ca_hash(ca_pem: bytes) -> str:
    """What the secure form pins: the SHA-256 of the CA file as it is."""
    return hashlib.sha256(ca_pem).hexdigest()


def secure(password: str, user: str, ca_pem: bytes) -> str:
    """The secure form of a token."""
    return f"K10{ca_hash(ca_pem)}::{user}:{password}"


def bootstrap_key(password: str) -> str:
    """Name of the datastore row that holds the cluster's certificate authorities."""
    return "/bootstrap/" + hashlib.sha256(password.encode()).hexdigest()[:12]
