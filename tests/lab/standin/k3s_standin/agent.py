"""``k3s agent``: joins through the given URL, then keeps its lease through any server."""

from __future__ import annotations

import http.client
import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import certificates, cluster, files, journal, node, notify, ranges, tokens
from .client import Client
from .errors import Fatal
from .options import Options, node_name, token_of

_RETRY = 2.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"


class NotYet(Exception):
    """The cluster refused or did not answer; tried again for ever, as K3s does."""


def run(options: Options, version: str) -> None:
    """Run an agent until the process is ended.

    Raises:
        Fatal: it lacks a token, a server or the rights to start.
    """
    journal.info(f"Starting k3s agent {version} (standin)")
    if os.geteuid() != 0:
        raise Fatal("agent must be run as root, or with --rootless")
    url = options.text("server").rstrip("/")
    token = token_of(options)
    if not token:
        raise Fatal("--token is required")
    if not url:
        raise Fatal("--server is required")
    if urlsplit(url).scheme != "https":
        raise Fatal(f"only https:// URLs are supported, invalid scheme: {url}")
    member = Agent(options, url, token, version)
    while True:
        try:
            member.join()
            break
        except NotYet as error:
            journal.error(str(error))
        except (OSError, http.client.HTTPException) as error:
            journal.error(f"Failed to validate connection to cluster at {url}: {error}")
        time.sleep(_RETRY)
    journal.info("k3s agent is up and running")
    notify.ready()
    member.beat()


class Agent:
    """One agent: its credentials on disk and the servers that it knows."""

    def __init__(self, options: Options, url: str, token: str, version: str) -> None:
        self._options = options
        self._url = url
        self._token = tokens.parse(token)
        self._version = version
        self._name = node_name(options)
        self._folder = Path(options.text("data-dir", "/var/lib/rancher/k3s")) / "agent"
        self._ca = self._folder / "server-ca.crt"
        self._certificate = self._folder / "client-kubelet.crt"
        self._key = self._folder / "client-kubelet.key"

    def join(self) -> None:
        """Check the server's CA, get a certificate, register the node.

        Raises:
            NotYet: the cluster refuses; the text says why.
            OSError, http.client.HTTPException: no answer.
        """
        self._trust()
        login = (self._token.user or "node", self._token.password)
        supervisor = Client(self._ca, basic=login)
        answer = supervisor.request(f"{self._url}/v1-k3s/config")
        if answer.status == 401:
            raise NotYet(
                f"Failed to validate connection to cluster at {self._url}: token is not valid: "
                f"{self._url}/v1-k3s/config: 401 Unauthorized"
            )
        _expect(answer.status, 200, "retrieve agent configuration")
        addresses = self._options.many("node-ip") or [node.own_address()]
        ranges.check(ranges.Ranges(**json.loads(answer.body)["ranges"]), addresses)
        self._get_certificate(supervisor)
        client_ca = supervisor.request(f"{self._url}/v1-k3s/client-ca.crt")
        files.write(self._folder / "client-ca.crt", client_ca.body, 0o644)
        servers = supervisor.request(f"{self._url}/v1-k3s/apiservers")
        self._remember(json.loads(servers.body) if servers.status == 200 else [])
        registered = cluster.node_object(
            self._name,
            self._version,
            addresses,
            labels=self._options.many("node-label"),
            taints=self._options.many("node-taint"),
        )
        self._call("POST", "/api/v1/nodes", registered, 201)

    def beat(self) -> None:
        """Renew the lease for ever, through whichever server answers."""
        failing = False
        while True:
            try:
                self._call("PUT", _LEASES + self._name, {}, 200)
                failing = False
            except (NotYet, OSError, http.client.HTTPException, ValueError) as error:
                if not failing:
                    journal.error(f"Failed to update lease: {error}")
                failing = True
            time.sleep(cluster.HEARTBEAT)

    def _trust(self) -> None:
        answer = Client().request(f"{self._url}/cacerts")
        _expect(answer.status, 200, "get CA certs")
        actual = tokens.ca_hash(answer.body)
        if self._token.ca_hash and self._token.ca_hash != actual:
            raise NotYet(
                f"Failed to validate connection to cluster at {self._url}: CA cert validation "
                "failed: token CA hash does not match the Cluster CA certificate hash: "
                f"{self._token.ca_hash} != {actual}"
            )
        if not self._token.ca_hash:
            journal.warning(
                "Cluster CA certificate is not trusted by the host CA bundle, but the token does "
                "not include a CA hash. Use the full token from the server's node-token file to "
                "enable Cluster CA validation."
            )
        files.write(self._ca, answer.body, 0o644)

    def _get_certificate(self, supervisor: Client) -> None:
        key = self._key.read_bytes() if self._key.exists() else certificates.new_key()
        answer = supervisor.request(
            f"{self._url}/v1-k3s/client-kubelet.crt",
            method="POST",
            body=certificates.node_request(key, self._name),
            headers={"k3s-Node-Name": self._name, "k3s-Node-Password": node.password()},
        )
        if answer.status == 403:
            raise NotYet(
                "Waiting to retrieve agent configuration; server is not ready: Node password "
                f"rejected, duplicate hostname or contents of '{node.PASSWORD_FILE}' may not match "
                "server node-passwd entry, try enabling a unique node name with the "
                "--with-node-id flag"
            )
        _expect(answer.status, 200, "retrieve agent configuration")
        files.write(self._key, key)
        files.write(self._certificate, answer.body, 0o644)

    def _call(self, method: str, path: str, body: object, expected: int) -> None:
        """Ask the servers in turn, directly, and the given URL last."""
        member = Client(self._ca, self._certificate, self._key, timeout=3.0)
        known = [f"https://{address}" for address in self._known()]
        last: Exception = NotYet("no server known")
        for base in [*known, self._url]:
            try:
                answer = member.request(base + path, method=method, body=json.dumps(body).encode())
                _expect(answer.status, expected, f"{method} {path}")
                return
            except (NotYet, OSError, http.client.HTTPException) as error:
                last = error
        raise last

    @property
    def _state_file(self) -> Path:
        return self._folder / "etc" / "k3s-agent-load-balancer.json"

    def _remember(self, addresses: list[Any]) -> None:
        state = {"ServerURL": self._url, "ServerAddresses": addresses}
        files.write(self._state_file, json.dumps(state, indent=2).encode())

    def _known(self) -> list[str]:
        try:
            return list(json.loads(self._state_file.read_bytes())["ServerAddresses"])
        except (OSError, ValueError, KeyError):
            return []


def _expect(status: int, wanted: int, what: str) -> None:
    if status != wanted:
        raise NotYet(f"Waiting to {what}; server is not ready: HTTP {status}")
