"""The administrator's kubeconfig, as a server wrote it and as the operator can use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret

PATH = "/etc/rancher/k3s/k3s.yaml"


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

    Further contexts that somebody added to the server's file are left out.  By YAML and not by
    replacing text: k3sup and others change every `default` they meet.
    Raises StepFailed when it is not a kubeconfig.
    """
    import yaml

    try:
        document = yaml.safe_load(kubeconfig.reveal())
        context = _named(document["contexts"], document["current-context"])
        cluster = _named(document["clusters"], context["context"]["cluster"])
        user = _named(document["users"], context["context"]["user"])
        cluster["cluster"]["server"] = server
        cluster["name"] = user["name"] = context["name"] = name
        context["context"] |= {"cluster": name, "user": name}
        document |= {
            "clusters": [cluster],
            "users": [user],
            "contexts": [context],
            "current-context": name,
        }
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        # Not chained: the parser quotes the text, which is a credential.
        raise StepFailed("the server's kubeconfig cannot be read", hint=f"look at {PATH}") from None
    return Secret(yaml.safe_dump(document, sort_keys=False))


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Raises ValueError when there is none or several of that name."""
    [entry] = (entry for entry in entries if entry["name"] == name)
    return entry
