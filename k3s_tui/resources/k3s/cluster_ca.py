"""The cluster's CA, as the servers have it: agents pin its hash."""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem

PATH = "/var/lib/rancher/k3s/server/tls/server-ca.crt"

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\s*", re.DOTALL)


@dataclass(frozen=True)
class ClusterCa:
    """A value to read: the hash of the CA that every server serves at /cacerts.

    Read over SSH, so that it is not the network which tells the agents whom to trust.
    """

    path: str = PATH

    def probe(self) -> Probe[str]:
        return Probe(f"cat {self.path}", ca_hash)

    def diff(self, now: str) -> Problem | None:
        return None if now else Problem(f"{self.path} is not there yet")


def ca_hash(pem: bytes) -> str:
    """What K3s puts after `K10`: SHA-256 in hex, of the file; of a bundle, its root's DER.

    '' when there is no certificate.
    """
    certificates = _CERTIFICATE.findall(pem)
    if not certificates:
        return ""
    if len(certificates) == 1:
        return hashlib.sha256(pem).hexdigest()
    root = ssl.PEM_cert_to_DER_cert(certificates[-1].decode())
    return hashlib.sha256(root).hexdigest()
