"""``k3s server``: datastore, bootstrap, tokens, API, and a kubelet of sorts."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from . import (
    bootstrap,
    certificates,
    cluster,
    etcd,
    files,
    journal,
    kubeconfig,
    node,
    notify,
    ranges,
    tokens,
)
from .api import ApiServer, State
from .bootstrap import Authorities
from .datastore import Conflict, DatabaseError, Datastore
from .errors import Fatal
from .options import Options, node_name, token_of

_PORT = 6443
_LEASE_LOST_AFTER = 15.0
"""Seconds without the datastore after which a server gives up, as a lost leader lease would."""

_COMPACT_EVERY = 60.0


def run(options: Options, version: str) -> None:
    """Run a server until the process is ended.

    Raises:
        Fatal: it cannot start, or lost the datastore.
    """
    journal.info(f"Starting k3s {version} (standin)")
    if os.geteuid() != 0:
        raise Fatal("must run as root unless --disable-agent is specified")
    data = Path(options.text("data-dir", "/var/lib/rancher/k3s"))
    folder = data / "server"
    for private in (folder, folder / "cred", folder / "tls"):
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = _password(options, folder)
    datastore = etcd.datastore(options, password, folder)
    datastore.open()
    is_member = "datastore-endpoint" not in options
    if not is_member:
        journal.info("Kine available at unix://kine.sock")

    authorities = bootstrap.prepare(datastore, password, folder)
    _check_pinned_ca(options, authorities)
    agent_token = token_of(options, "agent-token")
    agent_password = tokens.parse(agent_token).password if agent_token else password
    _write_tokens(folder, authorities, password, agent_password)

    name = node_name(options)
    addresses = options.many("node-ip") or [node.own_address()]
    port = int(options.text("https-listen-port", str(_PORT)))
    network = ranges.of(options, addresses)
    ranges.check_api(network, addresses)
    certificate, key = _serving_files(
        options, folder, authorities, [name, *addresses, network.first_service]
    )
    started = threading.Event()
    state = State(
        datastore,
        authorities,
        {
            "server": frozenset([password]),
            "node": frozenset([password, agent_password]),
        },
        version,
        started.is_set,
        network,
    )
    try:
        api = ApiServer(port, state, certificate, key, folder / bootstrap.FILES["ClientCA"])
    except OSError as error:
        raise Fatal(f"starting kubernetes: listen tcp :{port}: bind: {error.strerror}") from error
    threading.Thread(target=api.serve_forever, daemon=True).start()

    admin = _admin(authorities, folder)
    loopback = "[::1]" if network.is_ipv6_only else "127.0.0.1"
    kubeconfig.write(options, authorities.server.certificate, admin, f"{loopback}:{port}")
    started.set()
    journal.info("Kube API server is now running")
    ranges.check(network, addresses)
    journal.info("k3s is up and running")
    notify.ready()

    registered = cluster.node_object(
        name,
        version,
        addresses,
        labels=[*options.many("node-label"), *([etcd.LABEL] if is_member else [])],
        taints=options.many("node-taint"),
        server=True,
    )
    try:
        _retrying(lambda: cluster.check_password(datastore, name, node.password()))
    except cluster.WrongPassword as error:
        raise Fatal(
            f"Node password rejected, duplicate hostname or contents of '{node.PASSWORD_FILE}' "
            "may not match server node-passwd entry"
        ) from error
    _retrying(lambda: cluster.register(datastore, registered))
    journal.info(f"Node {name} registered (standin)")
    _beat(datastore, name)


def _password(options: Options, folder: Path) -> str:
    given = token_of(options)
    if not given and (folder / "token").exists():
        given = (folder / "token").read_text().strip()
    return tokens.parse(given).password if given else secrets.token_hex(16)


def _check_pinned_ca(options: Options, authorities: Authorities) -> None:
    given = token_of(options)
    pinned = tokens.parse(given).ca_hash if given else ""
    actual = tokens.ca_hash(authorities.server.certificate)
    if pinned and pinned != actual:
        raise Fatal(
            "starting kubernetes: preparing server: failed to validate token: token CA hash does "
            f"not match the Cluster CA certificate hash: {pinned} != {actual}"
        )


def _write_tokens(
    folder: Path, authorities: Authorities, password: str, agent_password: str
) -> None:
    ca = authorities.server.certificate
    files.write(folder / "token", tokens.secure(password, "server", ca).encode() + b"\n")
    files.link(folder / "node-token", str(folder / "token"))
    if agent_password == password:
        files.link(folder / "agent-token", str(folder / "token"))
    else:
        secure = tokens.secure(agent_password, "node", ca)
        (folder / "agent-token").unlink(missing_ok=True)
        files.write(folder / "agent-token", secure.encode() + b"\n")
    lines = f"{agent_password},node,node,k3s:agent\n{password},server,server,k3s:server\n"
    files.write(folder / "cred" / "passwd", lines.encode())


def _serving_files(
    options: Options, folder: Path, authorities: Authorities, own_names: list[str]
) -> tuple[Path, Path]:
    internal = ["kubernetes" + tail for tail in ("", ".default", ".default.svc")]
    names = [
        *own_names,
        *options.many("tls-san"),
        *options.many("advertise-address"),
        *internal,
        "kubernetes.default.svc.cluster.local",
        *("localhost", "127.0.0.1", "::1"),
    ]
    pair = certificates.serving(authorities.server, names)
    certificate = folder / "tls" / "serving-kube-apiserver.crt"
    key = certificate.with_suffix(".key")
    # The chain, so that a client that knows the CA only by its hash can see it.
    files.write(certificate, pair.certificate + authorities.server.certificate, 0o644)
    files.write(key, pair.key)
    return certificate, key


def _admin(authorities: Authorities, folder: Path) -> certificates.Pair:
    """The administrator's pair: made once, kept over restarts, as by K3s."""
    certificate = folder / "tls" / "client-admin.crt"
    key = certificate.with_suffix(".key")
    if not (certificate.exists() and key.exists()):
        made = certificates.client(authorities.client, "system:admin", "system:masters")
        files.write(certificate, made.certificate, 0o644)
        files.write(key, made.key)
    return certificates.Pair(certificate.read_bytes(), key.read_bytes())


def _retrying(work: Callable[[], object]) -> None:
    deadline = time.monotonic() + _LEASE_LOST_AFTER
    while True:
        try:
            work()
            return
        except (DatabaseError, Conflict) as error:
            if time.monotonic() > deadline:
                raise Fatal(
                    "leaderelection lost for k3s (standin: datastore unreachable)"
                ) from error
            journal.error(f"error in txn: {error}".strip())
            time.sleep(1)


def _beat(datastore: Datastore, name: str) -> None:
    compacted = time.monotonic()
    while True:
        time.sleep(cluster.HEARTBEAT)
        # A kubelet whose node was deleted registers anew at its next start, not before.
        _retrying(lambda: cluster.heartbeat(datastore, name))
        if time.monotonic() - compacted > _COMPACT_EVERY:
            compacted = time.monotonic()
            _retrying(datastore.compact)
