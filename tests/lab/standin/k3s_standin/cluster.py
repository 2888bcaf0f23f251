"""Nodes and their leases: the cluster's state, as JSON rows in the datastore.

A node is Ready while its lease is fresh. K3s takes 40 seconds to call a silent node NotReady;
the stand-in takes :data:`GRACE`, so that tests need not wait.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from .datastore import Conflict, Datastore

GRACE = 10.0
"""Seconds without a heartbeat after which a node is not Ready any more."""

HEARTBEAT = 2.0
"""Seconds between heartbeats."""

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

_NODES = "/registry/minions/"
_LEASES = "/registry/leases/kube-node-lease/"
_PASSWORDS = "/registry/secrets/kube-system/"


class WrongPassword(Exception):
    """The node's name is taken by a host with another node password."""


def now() -> str:
    """This moment as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node_object(
    name: str,
    version: str,
    addresses: Iterable[str],
    *,
    labels: Iterable[str] = (),
    taints: Iterable[str] = (),
    server: bool = False,
) -> dict[str, Any]:
    """A v1 Node as its kubelet registers it; ``key=value`` labels, ``key=value:effect`` taints."""
    all_labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "k3s",
    }
    if server:
        all_labels[CONTROL_PLANE] = "true"
    all_labels.update((k, v) for k, _, v in (label.partition("=") for label in labels))
    spec: dict[str, Any] = {"providerID": f"k3s://{name}"}
    if parsed := [_taint(text) for text in taints]:
        spec["taints"] = parsed
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
            "labels": all_labels,
            "annotations": {"k3s-tui-lab/standin": "true"},
        },
        "spec": spec,
        "status": {
            "addresses": [
                *({"type": "InternalIP", "address": address} for address in addresses),
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "kubeletVersion": f"{version}-standin",
                "kubeProxyVersion": f"{version}-standin",
                "containerRuntimeVersion": "standin://0",
                "operatingSystem": "linux",
                "osImage": "k3s-tui lab (standin)",
            },
            "conditions": [],
        },
    }


def register(datastore: Datastore, node: Mapping[str, Any]) -> None:
    """Write a node, or renew it: one that came back keeps its age, identity and own labels."""
    name = node["metadata"]["name"]
    fresh = json.loads(json.dumps(node))
    row = datastore.get(_NODES + name)
    if row is not None:
        old = json.loads(row.value)
        for field in ("uid", "creationTimestamp"):
            fresh["metadata"][field] = old["metadata"][field]
        fresh["metadata"]["labels"] = {**old["metadata"]["labels"], **fresh["metadata"]["labels"]}
        if old["spec"].get("unschedulable"):
            fresh["spec"]["unschedulable"] = True
    datastore.put(_NODES + name, json.dumps(fresh).encode())
    heartbeat(datastore, name)


def heartbeat(datastore: Datastore, name: str) -> bool:
    """Renew a node's lease; ``False`` when the node was deleted meanwhile."""
    if datastore.get(_NODES + name) is None:
        return False
    renewed = dt.datetime.now(dt.UTC).isoformat()
    lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name, "renewTime": renewed}}
    datastore.put(_LEASES + name, json.dumps(lease).encode())
    return True


def nodes(datastore: Datastore) -> list[dict[str, Any]]:
    """Every node with its conditions, by name."""
    leases = {row.name.removeprefix(_LEASES): row for row in datastore.below(_LEASES)}
    found = []
    for row in datastore.below(_NODES):
        node: dict[str, Any] = json.loads(row.value)
        lease = leases.get(node["metadata"]["name"])
        node["metadata"]["resourceVersion"] = str(max(row.id, lease.id if lease else 0))
        node["status"]["conditions"] = _conditions(json.loads(lease.value) if lease else None)
        found.append(node)
    return found


def set_unschedulable(datastore: Datastore, name: str, value: bool) -> bool:
    """Cordon or uncordon a node; ``False`` when there is none of that name."""
    row = datastore.get(_NODES + name)
    if row is None:
        return False
    node = json.loads(row.value)
    node["spec"].pop("unschedulable", None)
    if value:
        node["spec"]["unschedulable"] = True
    datastore.put(_NODES + name, json.dumps(node).encode())
    return True


def delete_node(datastore: Datastore, name: str) -> bool:
    """Delete a node and its node password; ``False`` when there is none of that name."""
    datastore.delete(_LEASES + name)
    datastore.delete(f"{_PASSWORDS}{name}.node-password.k3s")
    return datastore.delete(_NODES + name)


def check_password(datastore: Datastore, name: str, password: str) -> None:
    """Claim a node name by its password, or prove the earlier claim.

    Raises:
        WrongPassword: another host holds the name.
    """
    key = f"{_PASSWORDS}{name}.node-password.k3s"
    row = datastore.get(key)
    if row is None:
        salt = secrets.token_hex(8)
        try:
            datastore.create(key, f"{salt}:{_digest(salt, password)}".encode())
            return
        except Conflict:
            row = datastore.get(key)
    salt, _, digest = (row.value if row else b"").decode().partition(":")
    if not secrets.compare_digest(digest, _digest(salt, password)):
        raise WrongPassword(name)


def server_addresses(datastore: Datastore) -> list[str]:
    """``ADDRESS:6443`` of every server that is Ready."""
    return [
        f"[{address['address']}]:6443"
        if ":" in address["address"]
        else f"{address['address']}:6443"
        for node in nodes(datastore)
        if CONTROL_PLANE in node["metadata"]["labels"] and is_ready(node)
        for address in node["status"]["addresses"][:1]
    ]


def is_ready(node: Mapping[str, Any]) -> bool:
    """The node's Ready condition."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


def _digest(salt: str, password: str) -> str:
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=1024, r=8, p=1).hex()


def _taint(text: str) -> dict[str, str]:
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return {"key": key, "value": value, "effect": effect}


def _conditions(lease: Mapping[str, Any] | None) -> list[dict[str, str]]:
    status, reason, message = (
        "Unknown",
        "NodeStatusNeverUpdated",
        "Kubelet never posted node status.",
    )
    beat = now()
    if lease is not None:
        renewed = dt.datetime.fromisoformat(lease["spec"]["renewTime"])
        beat = renewed.strftime("%Y-%m-%dT%H:%M:%SZ")
        if (dt.datetime.now(dt.UTC) - renewed).total_seconds() <= GRACE:
            status, reason, message = "True", "KubeletReady", "standin is posting ready status"
        else:
            reason, message = "NodeStatusUnknown", "Kubelet stopped posting node status."
    healthy = "False" if status == "True" else "Unknown"
    pressures = [
        {"type": kind, "status": healthy, "reason": reason, "message": message}
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    ready = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return [{**c, "lastHeartbeatTime": beat} for c in [*pressures, ready]]
