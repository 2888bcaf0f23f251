"""The administrator's kubeconfig, as a server wrote it and as the operator can use it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.resources.k3s.documents import loaded

PATH = "/etc/rancher/k3s/k3s.yaml"

_CA = "certificate-authority-data"
_CERTIFICATE = "client-certificate-data"
_KEY = "client-key-data"
_BLOCK = rb"-----BEGIN %b-----\n[A-Za-z0-9+/=\n]+-----END %b-----\n*"
_CERTIFICATES = re.compile(b"(?:%b)+" % (_BLOCK % (b"CERTIFICATE", b"CERTIFICATE")))
_PRIVATE_KEY = re.compile(_BLOCK % (b"((?:EC |RSA )?PRIVATE KEY)", rb"\1"))


@dataclass(frozen=True)
class ServerKubeconfig:
    """A value to read, from a server; it is root on the cluster, hence a Secret."""

    path: str = PATH

    def probe(self) -> Probe[Secret]:
        return Probe(f"cat {self.path}", lambda out: Secret(out.decode(errors="replace")))

    def diff(self, now: Secret) -> Problem | None:
        return None if now else Problem(f"{self.path} is not there yet")


def rewritten(kubeconfig: Secret, server: str, name: str) -> Secret:
    """The access of the current context at `server`, with cluster, user and context called `name`.

    Made anew of the CA, the certificate and the key alone: whoever has the server could name a
    program there that kubectl runs on the laptop, or a proxy that hears everything.  Further
    contexts that somebody added to the server's file are left out.
    Raises StepFailed when it is not a kubeconfig, or one that asks for more than that.
    """
    import yaml

    try:
        document = loaded(kubeconfig.reveal())
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = dict(_named(document["clusters"], context["cluster"])["cluster"])
        user = dict(_named(document["users"], context["user"])["user"])
        cluster.pop("server")
        ca = {_CA: _pem(cluster.pop(_CA), _CERTIFICATES)}
        pair = {
            _CERTIFICATE: _pem(user.pop(_CERTIFICATE), _CERTIFICATES),
            _KEY: _pem(user.pop(_KEY), _PRIVATE_KEY),
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        # Not chained: the parser quotes the text, which is a credential.
        raise StepFailed(
            "the server's kubeconfig cannot be read",
            hint=f"look at {PATH}: K3s writes it anew when it is deleted and k3s restarted",
        ) from None
    if further := sorted(f"{key!s:.40}" for key in (*cluster, *user)):
        raise StepFailed(
            "the server's kubeconfig asks for more than its CA, a certificate and a key: "
            + sanitize(", ".join(further[:5])),
            hint=f"K3s writes none of it: find out who changed {PATH} before you trust that host",
        )
    return Secret(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": {**ca, "server": server}}],
                "users": [{"name": name, "user": pair}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                "current-context": name,
            },
            sort_keys=False,
        )
    )


def _pem(encoded: str, wanted: re.Pattern[bytes]) -> str:
    """As it is.  Raises ValueError when it is not base64 of that kind of PEM."""
    if not wanted.fullmatch(base64.b64decode(encoded, validate=True)):
        raise ValueError
    return encoded


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Raises ValueError when there is none or several of that name."""
    [entry] = (entry for entry in entries if entry["name"] == name)
    return entry
