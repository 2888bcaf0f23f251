"""Port 6443: the few paths of supervisor and API server that an installer looks at."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import certificates, cluster, etcd
from .bootstrap import Authorities
from .datastore import Conflict, DatabaseError, Datastore
from .ranges import Ranges

_HEALTH = ("/readyz", "/livez", "/healthz")
_NODES = "/api/v1/nodes"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"
_CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
_EMPTY_LISTS = {
    "/api/v1/pods": "PodList",
    "/api/v1/namespaces/kube-system/pods": "PodList",
    "/apis/apps/v1/deployments": "DeploymentList",
    "/apis/apps/v1/namespaces/kube-system/deployments": "DeploymentList",
    "/apis/batch/v1/namespaces/kube-system/jobs": "JobList",
}

ADMIN, NODE, SUPERVISED, NOBODY = "admin", "node", "supervised", "nobody"
"""Who asks: a client certificate of group masters, one of a kubelet, a token, or neither."""


@dataclass(frozen=True)
class State:
    """What requests are answered from."""

    datastore: Datastore
    authorities: Authorities
    passwords: dict[str, frozenset[str]]
    """User of basic auth to the passwords that it may give."""
    version: str
    is_ready: Callable[[], bool]
    ranges: Ranges


class ApiServer(ThreadingHTTPServer):
    """Serves TLS on ``port``; a client certificate is optional and must be of the client CA."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, port: int, state: State, certificate: Path, key: Path, client_ca: Path
    ) -> None:
        self.state = state
        # As Go does: one socket for both families.
        self._both = socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if self._both else socket.AF_INET
        super().__init__(("", port), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client_ca)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def server_bind(self) -> None:
        if self._both:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "k3s-standin"
    timeout = 120

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    @property
    def _state(self) -> State:
        assert isinstance(self.server, ApiServer)
        return self.server.state

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._body = self.rfile.read(length) if length else b""
        path = urlsplit(self.path).path
        try:
            if path == "/ping":
                self._send(200, b"pong", "text/plain")
            elif path == "/cacerts":
                self._send(200, self._state.authorities.server.certificate, "text/plain")
            else:
                self._authenticated(path)
        except DatabaseError as error:
            self._status(500, "InternalError", f"standin: datastore: {error}")
        except Conflict:
            self._status(409, "Conflict", "standin: written by another at the same time")
        except (ValueError, KeyError, TypeError) as error:
            self._status(400, "BadRequest", f"standin: {error}")

    def _authenticated(self, path: str) -> None:
        who = self._who()
        if who == NOBODY:
            self._status(401, "Unauthorized", "Unauthorized")
        elif path.startswith("/v1-k3s/"):
            self._supervisor(path.removeprefix("/v1-k3s/"))
        elif who == SUPERVISED:
            self._status(403, "Forbidden", f'forbidden: User "node" cannot get path "{path}"')
        else:
            self._api(path, who)

    def _who(self) -> str:
        connection = self.connection
        assert isinstance(connection, ssl.SSLSocket)
        if certificate := connection.getpeercert():
            subject: Any = certificate.get("subject", ())
            fields = {key: value for part in subject for key, value in part}
            return ADMIN if fields.get("organizationName") == "system:masters" else NODE
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return NOBODY
        try:
            user, _, password = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            return NOBODY
        for known in self._state.passwords.get(user, ()):
            if secrets.compare_digest(known.encode(), password.encode()):
                return SUPERVISED
        return NOBODY

    def _is_server(self) -> bool:
        """Whether the servers' own token came along, which says more than a kubelet's does."""
        encoded = self.headers.get("Authorization", "").partition(" ")[2]
        user, _, password = base64.b64decode(encoded).partition(b":")
        known = self._state.passwords.get("server", frozenset())
        return user == b"server" and any(
            secrets.compare_digest(one.encode(), password) for one in known
        )

    def _supervisor(self, path: str) -> None:
        state = self._state
        if path == "readyz":
            ok = state.is_ready()
            self._send(200 if ok else 503, b"ok" if ok else b"not ready", "text/plain")
        elif path == "config":
            ranges = {"cluster": state.ranges.cluster, "service": state.ranges.service}
            self._json({"version": f"{state.version}-standin", "ranges": ranges})
        elif path == "apiservers":
            self._json(cluster.server_addresses(state.datastore))
        elif path == "client-ca.crt":
            self._send(200, state.authorities.client.certificate, "text/plain")
        elif path == etcd.PATH and self.command == "POST" and self._is_server():
            self._json(etcd.answer(state.datastore, self._body))
        elif path == "client-kubelet.crt" and self.command == "POST":
            self._sign_kubelet()
        else:
            self._status(404, "NotFound", "the server could not find the requested resource")

    def _sign_kubelet(self) -> None:
        name = self.headers.get("k3s-Node-Name", "").lower()
        password = self.headers.get("k3s-Node-Password", "")
        if not name or not password:
            self._status(400, "BadRequest", "node name and password must be given")
            return
        try:
            cluster.check_password(self._state.datastore, name, password)
        except cluster.WrongPassword:
            self._status(403, "Forbidden", "Node password rejected")
            return
        authority = self._state.authorities.client
        self._send(200, certificates.sign_node(authority, self._body, name), "text/plain")

    def _api(self, path: str, who: str) -> None:
        datastore = self._state.datastore
        if path.startswith(_HEALTH):
            self._health(path)
        elif path == "/version":
            major, minor = self._state.version.lstrip("v").split(".")[:2]
            version = {"major": major, "minor": minor, "platform": "linux/amd64"}
            self._json({**version, "gitVersion": f"{self._state.version}-standin"})
        elif path == _NODES and self.command == "GET":
            found = cluster.nodes(datastore)
            meta = {"resourceVersion": ""}
            self._json({"kind": "NodeList", "apiVersion": "v1", "metadata": meta, "items": found})
        elif path == _NODES and self.command == "POST":
            node = json.loads(self._body)
            cluster.register(datastore, node)
            self._json(node, 201)
        elif path.startswith(_NODES + "/"):
            self._node(path.removeprefix(_NODES + "/"), who)
        elif path.startswith(_LEASES) and self.command == "PUT":
            name = path.removeprefix(_LEASES)
            if cluster.heartbeat(datastore, name):
                self._json({"kind": "Lease", "metadata": {"name": name}})
            else:
                self._not_found("nodes", name)
        elif path == _CONFIGMAPS and who == ADMIN and self.command in ("GET", "POST"):
            self._configmaps()
        elif path in _EMPTY_LISTS and self.command == "GET":
            self._json(
                {"kind": _EMPTY_LISTS[path], "metadata": {"resourceVersion": ""}, "items": []}
            )
        else:
            self._status(404, "NotFound", "the server could not find the requested resource")

    def _health(self, path: str) -> None:
        try:
            self._state.datastore.get("compact_rev_key")
            healthy = self._state.is_ready()
        except DatabaseError:
            healthy = False
        name = path.strip("/").split("/")[0]
        if "verbose" in urlsplit(self.path).query and healthy:
            text = f"[+]ping ok\n[+]standin ok\n[+]datastore ok\n{name} check passed\n"
        else:
            text = "ok" if healthy else f"[-]datastore failed\n{name} check failed\n"
        self._send(200 if healthy else 500, text.encode(), "text/plain")

    def _node(self, name: str, who: str) -> None:
        datastore = self._state.datastore
        if self.command != "GET" and who != ADMIN:
            self._status(403, "Forbidden", f'nodes "{name}" is forbidden')
            return
        if self.command == "PATCH":
            wanted = bool(json.loads(self._body).get("spec", {}).get("unschedulable"))
            if not cluster.set_unschedulable(datastore, name, wanted):
                self._not_found("nodes", name)
                return
        elif self.command == "DELETE":
            if cluster.delete_node(datastore, name):
                self._status(200, "", f'node "{name}" deleted', status="Success")
            else:
                self._not_found("nodes", name)
            return
        for node in cluster.nodes(datastore):
            if node["metadata"]["name"] == name:
                self._json(node)
                return
        self._not_found("nodes", name)

    def _configmaps(self) -> None:
        """An object that nothing else reads: written to the datastore before it is acknowledged."""
        datastore, below = self._state.datastore, "/registry/configmaps/default/"
        if self.command == "POST":
            value = json.loads(self._body)
            datastore.create(below + value["metadata"]["name"], json.dumps(value).encode())
            self._json(value, 201)
        else:
            items = [json.loads(row.value) for row in datastore.below(below)]
            self._json(
                {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": items}
            )

    def _not_found(self, kind: str, name: str) -> None:
        self._status(404, "NotFound", f'{kind} "{name}" not found')

    def _status(self, code: int, reason: str, message: str, *, status: str = "Failure") -> None:
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": status}
        self._json({**body, "message": message, "reason": reason, "code": code}, code)

    def _json(self, value: object, code: int = 200) -> None:
        self._send(code, json.dumps(value).encode() + b"\n", "application/json")

    def _send(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The journal shows K3s's own lines only."""
