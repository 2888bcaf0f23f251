"""The administrator's kubeconfig, as a server wrote it and as the operator can use it."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.core.secret import Secret

PATH = "/etc/rancher/k3s/k3s.yaml"


@dataclass(frozen=True)
class ServerKubeconfig:
    """A value to read, from a server; it is root on the cluster, hence a Secret."""

    path: str = PATH

    def probe(self) -> Probe[Secret]:
        return Probe(f"cat {self.path}", lambda out: Secret(out.decode()))

    def diff(self, now: Secret) -> Problem | None:
        return None if now else Problem(f"{self.path} is not there yet")


def rewritten(kubeconfig: Secret, server: str, name: str) -> Secret:
    """The same access at `server`, with cluster, user and context called `name`.

    By YAML and not by replacing text: k3sup and others change every `default` they meet.
    Raises StepFailed when it is not a kubeconfig.
    """
    import yaml

    try:
        document = yaml.safe_load(kubeconfig.reveal())
        [cluster], [user], [context] = (document[key] for key in ("clusters", "users", "contexts"))
        cluster["cluster"]["server"] = server
        cluster["name"] = user["name"] = context["name"] = name
        context["context"] |= {"cluster": name, "user": name}
        document["current-context"] = name
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        # Not chained: the parser quotes the text, which is a credential.
        raise StepFailed("the server's kubeconfig cannot be read", hint=f"look at {PATH}") from None
    return Secret(yaml.safe_dump(document, sort_keys=False))
