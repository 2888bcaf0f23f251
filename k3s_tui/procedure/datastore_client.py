"""What one server needs for the cluster's state, wherever that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from k3s_tui.core.contract import Seen, Step
from k3s_tui.core.secret import Secret
from k3s_tui.engine.graph import Steps
from k3s_tui.resources.k3s.config import DatastoreFiles, Etcd

NO_ENDPOINT = Secret("")


@dataclass(frozen=True)
class Client:
    """`steps` come before the server's K3s.  `inputs` are what K3s reads only at its start; `token`
    is what the server proves itself with.  `endpoint` is empty for etcd.
    """

    steps: Steps
    state: DatastoreFiles | Etcd
    endpoint: Secret
    inputs: Callable[[Seen], tuple[str, ...]]
    token: Callable[[Seen], Secret]


class ClientOf(Protocol):
    """Makes a server's; `ca` is the hash of the cluster's CA, None on the first server."""

    def __call__(self, name: str, ca: Step[str] | None) -> Client: ...


def same(value: Any) -> Callable[[Seen], Any]:
    """A value that no step has to find out."""
    return lambda seen: value
