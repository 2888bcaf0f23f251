"""Is this the host's key?  The pin of the lock file decides; without one, `known_hosts` files do.

Nothing here trusts on first use: an unknown key is an error that carries the key, so that a
front end can show its fingerprint, ask, and pin it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from k3s_tui.core.address import parted
from k3s_tui.core.errors import CredentialsError, HostKeyChanged, HostKeyUnknown
from k3s_tui.hosts.known_hosts import DEFAULT_PORT, Known, KnownKey

_PLAIN = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Signature algorithms by key type, in the order they are asked for."""


@dataclass(frozen=True, slots=True)
class Trusted:
    pass


@dataclass(frozen=True, slots=True)
class Unknown:
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Changed:
    """`expected` names fingerprint and place of each key that was known instead."""

    fingerprint: str
    expected: tuple[KnownKey, ...]
    revoked: bool = False


Verdict = Trusted | Unknown | Changed


def normalize(key: str) -> str:
    """`type base64` without the comment.  Raises ValueError for anything else."""
    words = key.split()
    if len(words) < 2:
        raise ValueError("a host key is written as in known_hosts: ssh-ed25519 AAAA…")
    base64.b64decode(words[1], validate=True)
    return f"{words[0]} {words[1]}"


def fingerprint(key: str) -> str:
    """`SHA256:…` as ssh-keygen -l prints it.  Raises ValueError when it is not a key."""
    blob = base64.b64decode(normalize(key).split()[1])
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def pinned(known: Known, pin: str | None) -> Known:
    """What counts for a host: a pin replaces every other key, and nothing lifts a revocation."""
    if pin is None:
        return known
    return Known(keys=(KnownKey(normalize(pin), "pinned"),), revoked=known.revoked)


def judge(known: Known, key: str) -> Verdict:
    """The verdict on the key that a host showed."""
    shown = normalize(key)
    if any(shown == other.key for other in known.revoked):
        return Changed(fingerprint(shown), known.keys, revoked=True)
    if any(shown == other.key for other in known.keys + known.loose):
        return Trusted()
    if known.keys:
        return Changed(fingerprint(shown), known.keys)
    return Unknown(fingerprint(shown))


def algorithms(known: Known) -> list[str]:
    """Host key algorithms in the order to ask for them.

    The types that are known come first, then ed25519.  The others stay at the end, so that a host
    whose key type changed shows its new key and is reported as changed.
    """
    types = [other.key.split()[0] for other in known.keys + known.loose]
    ordered = dict.fromkeys([*(kind for kind in types if kind in _PLAIN), *_PLAIN])
    plain = [algorithm for kind in ordered for algorithm in _PLAIN[kind]]
    if not known.authorities:
        return plain
    return [f"{algorithm}-cert-v01@openssh.com" for algorithm in plain] + plain


def refusal(verdict: Unknown | Changed, key: str, *, host: str, address: str) -> CredentialsError:
    """The error for the operator.  `address` is `host:port` as it was dialled."""
    if isinstance(verdict, Unknown):
        return HostKeyUnknown(
            f"the host key of {address} is not known: {verdict.fingerprint}",
            key=normalize(key),
            fingerprint=verdict.fingerprint,
            host=host,
            hint="compare it with the output of `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` "
            "on the host's console, then accept it",
        )
    if verdict.revoked:
        return HostKeyChanged(
            f"the host key of {address} is revoked: {verdict.fingerprint}",
            host=host,
            hint="replace the host's key; a revoked key is never trusted",
        )
    expected = ", ".join(f"{fingerprint(k.key)} ({k.where})" for k in verdict.expected)
    return HostKeyChanged(
        f"the host key of {address} has changed: it shows {verdict.fingerprint}, "
        f"expected {expected}",
        host=host,
        hint="either the host was installed anew or somebody is in between; when you know that it "
        f"was installed anew, {_how_to_forget(verdict, address)}",
    )


def _how_to_forget(verdict: Changed, address: str) -> str:
    if all(other.where == "pinned" for other in verdict.expected):
        return "remove its key from the profile's lock file"
    name, port = parted(address)
    entry = name if port == str(DEFAULT_PORT) else f"'[{name}]:{port}'"
    return f"run `ssh-keygen -R {entry}`"
