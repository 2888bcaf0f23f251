"""A server's kubeconfig as K3s writes it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import yaml


def encoded(label: str) -> str:
    """Base64 of PEM; what is in it is of no interest here."""
    pem = f"-----BEGIN {label}-----\nMIIB\nAAAA\n-----END {label}-----\n"
    return base64.b64encode(pem.encode()).decode()


CLUSTER = {
    "certificate-authority-data": encoded("CERTIFICATE"),
    "server": "https://127.0.0.1:6443",
}
USER = {
    "client-certificate-data": encoded("CERTIFICATE"),
    "client-key-data": encoded("EC PRIVATE KEY"),
}


def kubeconfig(cluster: Mapping[str, Any] = CLUSTER, user: Mapping[str, Any] = USER) -> str:
    document = {
        "apiVersion": "v1",
        "clusters": [{"cluster": dict(cluster), "name": "default"}],
        "contexts": [{"context": {"cluster": "default", "user": "default"}, "name": "default"}],
        "current-context": "default",
        "kind": "Config",
        "users": [{"name": "default", "user": dict(user)}],
    }
    return yaml.safe_dump(document, sort_keys=False)
