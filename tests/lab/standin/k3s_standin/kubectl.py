"""``k3s kubectl``: the few verbs that an installer and its operator use."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from . import kubeconfig
from .client import Answer, Client
from .errors import UsageError

_VALUED = {
    "-o": "output",
    "--output": "output",
    "--raw": "raw",
    "--kubeconfig": "kubeconfig",
    "--server": "server",
    "-s": "server",
    "--request-timeout": "timeout",
    "-n": "namespace",
    "--namespace": "namespace",
    "-l": "selector",
    "--selector": "selector",
}
_BOOLEAN = {"-A", "--all-namespaces", "--no-headers", "--ignore-daemonsets", "--force"}
_BOOLEAN |= {"--delete-emptydir-data", "--wait", "--ignore-not-found", "--client"}

_PATHS = {
    "pods": "/api/v1/pods",
    "deployments": "/apis/apps/v1/deployments",
    "jobs": "/apis/batch/v1/namespaces/kube-system/jobs",
}
_ALIASES = {
    "node": "nodes",
    "no": "nodes",
    "pod": "pods",
    "po": "pods",
    "deployment": "deployments",
}


def run(argv: Sequence[str]) -> int:
    """Run one ``kubectl`` command; returns the exit status."""
    words, given, switches = _parse(argv)
    verb = words[0] if words else ""
    if verb == "version" and "--client" in switches:
        print("Client Version: standin")
        return 0
    path = given.get("kubeconfig") or os.environ.get("KUBECONFIG") or kubeconfig.DEFAULT
    access = kubeconfig.read(path)
    try:
        server = given.get("server") or access.server
        client = Client(access.ca_file, access.certificate, access.key, timeout=_timeout(given))
        return _Command(client, server, given, switches).run(verb, words[1:])
    except ConnectionRefusedError:
        where = server.removeprefix("https://")
        print(
            f"The connection to the server {where} was refused - did you specify the right host "
            "or port?",
            file=sys.stderr,
        )
    except (OSError, http.client.HTTPException) as error:
        print(f"Unable to connect to the server: {error}", file=sys.stderr)
    finally:
        kubeconfig.forget(access)
    return 1


class _Command:
    """One command against one server."""

    def __init__(
        self, client: Client, server: str, given: Mapping[str, str], switches: set[str]
    ) -> None:
        self._client = client
        self._server = server.rstrip("/")
        self._given = given
        self._switches = switches

    def run(self, verb: str, words: list[str]) -> int:
        if verb == "get" and "raw" in self._given:
            return self._raw(self._given["raw"])
        if verb == "version":
            return self._raw("/version")
        if verb == "get" and words:
            return self._get(words)
        if verb == "delete" and len(words) == 2 and words[0] in ("node", "nodes"):
            return self._change(words[1], "DELETE", None, f'node "{words[1]}" deleted')
        if verb in ("cordon", "uncordon", "drain") and len(words) == 1:
            name = words[0].removeprefix("node/")
            patch = {"spec": {"unschedulable": verb != "uncordon"}}
            done = "drained" if verb == "drain" else f"{verb}ed"
            return self._change(name, "PATCH", patch, f"node/{name} {done}")
        raise UsageError(
            f"error: standin: kubectl {verb} {' '.join(words)}: not part of the stand-in"
        )

    def _ask(self, path: str, method: str = "GET", body: object = None) -> Answer:
        encoded = json.dumps(body).encode() if body is not None else b""
        return self._client.request(self._server + path, method=method, body=encoded)

    def _raw(self, path: str) -> int:
        answer = self._ask(path)
        if answer.status >= 400:
            return _failed(answer)
        sys.stdout.write(answer.body.decode())
        return 0

    def _change(self, name: str, method: str, body: object, done: str) -> int:
        answer = self._ask(f"/api/v1/nodes/{name}", method, body)
        if answer.status >= 400:
            return _failed(answer)
        print(done)
        return 0

    def _get(self, words: list[str]) -> int:
        kind, slash, name = words[0].partition("/")
        kind = _ALIASES.get(kind, kind)
        names = [name] if slash else words[1:]
        if kind != "nodes":
            if kind not in _PATHS:
                raise UsageError(
                    f'error: the server doesn\'t have a resource type "{kind}" (standin)'
                )
            answer = self._ask(_PATHS[kind])
            if answer.status >= 400:
                return _failed(answer)
            return self._show(json.loads(answer.body), [])
        if len(names) == 1:
            answer = self._ask(f"/api/v1/nodes/{names[0]}")
            if answer.status >= 400:
                return _failed(answer)
            node = json.loads(answer.body)
            return self._show(node, [node])
        answer = self._ask("/api/v1/nodes")
        if answer.status >= 400:
            return _failed(answer)
        listed = json.loads(answer.body)
        return self._show({**listed, "kind": "List"}, listed["items"])

    def _show(self, whole: object, nodes: list[dict[str, Any]]) -> int:
        form = self._given.get("output", "")
        if form == "json":
            print(json.dumps(whole, indent=4))
        elif form == "yaml":
            print(yaml.safe_dump(whole), end="")
        elif form == "name":
            for node in nodes:
                print(f"node/{node['metadata']['name']}")
        elif form in ("", "wide"):
            _table(nodes, wide=form == "wide", headers="--no-headers" not in self._switches)
        else:
            raise UsageError(f"error: standin: output format {form!r} is not part of the stand-in")
        return 0


def _parse(argv: Sequence[str]) -> tuple[list[str], dict[str, str], set[str]]:
    words: list[str] = []
    given: dict[str, str] = {}
    switches: set[str] = set()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.partition("=")
        if name in _VALUED:
            if not has_value:
                if not rest:
                    raise UsageError(f"error: flag needs an argument: {name}")
                value = rest.pop(0)
            given[_VALUED[name]] = value
        elif name in _BOOLEAN:
            switches.add(name)
        elif word.startswith("-o") and not word.startswith("--"):
            given["output"] = word[2:]
        elif word.startswith("-"):
            raise UsageError(f"error: unknown flag: {name} (standin)")
        else:
            words.append(word)
    return words, given, switches


def _timeout(given: Mapping[str, str]) -> float:
    text = given.get("timeout", "0").removesuffix("s")
    return float(text) or 30.0


def _failed(answer: Answer) -> int:
    try:
        status = json.loads(answer.body)
        reason, message = status.get("reason", ""), status.get("message", "")
    except ValueError:
        reason, message = "InternalError", answer.body.decode(errors="replace")
    print(f"Error from server ({reason}): {message}", file=sys.stderr)
    return 1


def _table(nodes: list[dict[str, Any]], *, wide: bool, headers: bool) -> None:
    if not nodes:
        print("No resources found", file=sys.stderr)
        return
    from . import cluster  # with the datastore's driver, which -o json does without

    rows = [["NAME", "STATUS", "ROLES", "AGE", "VERSION"]] if headers else []
    if wide and headers:
        rows[0].append("INTERNAL-IP")
    for node in nodes:
        meta, status = node["metadata"], node["status"]
        state = "Ready" if cluster.is_ready(node) else "NotReady"
        if node["spec"].get("unschedulable"):
            state += ",SchedulingDisabled"
        prefix = "node-role.kubernetes.io/"
        roles = [label.removeprefix(prefix) for label in meta["labels"] if label.startswith(prefix)]
        row = [meta["name"], state, ",".join(sorted(roles)) or "<none>"]
        row += [_age(meta["creationTimestamp"]), status["nodeInfo"]["kubeletVersion"]]
        if wide:
            row.append(status["addresses"][0]["address"])
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("   ".join(cells).rstrip())


def _age(created: str) -> str:
    born = dt.datetime.fromisoformat(created.replace("Z", "+00:00"))
    seconds = int((dt.datetime.now(dt.UTC) - born).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
