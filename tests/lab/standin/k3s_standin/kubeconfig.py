"""The administrator's kubeconfig: written by a server, read by ``kubectl``."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from . import files, journal
from .errors import Fatal, UsageError
from .options import Options

if TYPE_CHECKING:
    from .certificates import Pair

DEFAULT = "/etc/rancher/k3s/k3s.yaml"


@dataclass(frozen=True)
class Access:
    """Where a kubeconfig leads: the server, and files with CA, certificate and key."""

    server: str
    ca_file: Path
    certificate: Path
    key: Path


def write(options: Options, ca_pem: bytes, admin: Pair, place: str) -> None:
    """Write the kubeconfig of this server, 0600 unless told otherwise; ``place`` is ADDRESS:PORT.

    Raises:
        Fatal: the mode is no octal number.
    """
    path = Path(options.text("write-kubeconfig", DEFAULT))
    try:
        mode = int(options.text("write-kubeconfig-mode", "600"), 8)
    except ValueError as error:
        raise Fatal(f"failed to parse kubeconfig mode: {error}") from error
    user = {
        "client-certificate-data": _encoded(admin.certificate),
        "client-key-data": _encoded(admin.key),
    }
    cluster = {
        "certificate-authority-data": _encoded(ca_pem),
        "server": f"https://{place}",
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default", "cluster": cluster}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
        "preferences": {},
        "users": [{"name": "default", "user": user}],
    }
    files.write(path, yaml.safe_dump(content, sort_keys=False).encode(), mode)
    journal.info(f"Wrote kubeconfig {path}")


def read(path: str) -> Access:
    """The access that a kubeconfig's current context gives.

    Raises:
        UsageError: the file cannot be read or has another shape.
    """
    try:
        content: Any = yaml.safe_load(Path(path).read_bytes())
        context = _named(content["contexts"], content["current-context"])["context"]
        cluster = _named(content["clusters"], context["cluster"])["cluster"]
        user = _named(content["users"], context["user"])["user"]
        held = Path(tempfile.mkdtemp(prefix="k3s-standin-"))
        parts = {
            "ca": cluster["certificate-authority-data"],
            "certificate": user["client-certificate-data"],
            "key": user["client-key-data"],
        }
        for name, data in parts.items():
            files.write(held / name, base64.b64decode(data))
        return Access(cluster["server"], held / "ca", held / "certificate", held / "key")
    except OSError as error:
        what = os.strerror(error.errno or 0).lower()
        raise UsageError(
            f'error: error loading config file "{path}": open {path}: {what}'
        ) from error
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f'error: error loading config file "{path}": {error}') from error


def forget(access: Access) -> None:
    """Delete the files of :func:`read`."""
    for path in (access.ca_file, access.certificate, access.key):
        path.unlink(missing_ok=True)
    access.ca_file.parent.rmdir()


def _named(entries: Any, name: str) -> Any:
    return next((entry for entry in entries if entry["name"] == name), {})


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
