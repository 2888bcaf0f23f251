"""A K3s that somebody else installed is not taken over, nor ours turned into something else."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote
from k3s_tui.profile.k3s_options import option, owned
from k3s_tui.resources.k3s import config
from k3s_tui.resources.k3s.documents import CAP, loaded
from k3s_tui.resources.k3s.service import MARK

_REMAINS = (
    "/var/lib/rancher/k3s/server/token",
    "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
    *(
        f"{folder}/{unit}.service"
        for folder in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
        for unit in ("k3s", "k3s-agent")
    ),
)
"""A unit that is there is not written anew, so what its arguments say would go on."""

_LONGEST = CAP + 1
"""Bytes of a configuration file that are looked at."""


@dataclass(frozen=True)
class ForeignState:
    """What others have left of K3s on a host.

    `remains` are paths of a K3s that is not ours, `replaced` configuration files of it that we
    would write over.  `overriding` are options of ours that other files set as well, as pairs of
    file and key; `unreadable` are files of which nobody can say what they set.  No values: they
    may be secrets.
    """

    remains: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    overriding: tuple[tuple[str, str], ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoForeignK3s:
    """A preflight check: nothing of another cluster is on this node, and no file beside ours in
    `config.yaml.d` sets what k3s-tui sets; K3s lets the last file win.

    `root` is prefixed to every path.
    """

    root: str = ""

    def probe(self) -> Probe[ForeignState]:
        mark, main, secrets = (
            quote(self.root + path) for path in (MARK, config.CONFIG, config.SECRETS)
        )
        remains = " ".join(quote(self.root + path) for path in _REMAINS)
        folder = quote(self.root + config.SECRETS.rpartition("/")[0])
        header = quote(config.HEADER.strip())
        return Probe(
            f"""
tell() {{ printf '%s %s %s\\n' "$1" "$(printf %s "$2" | base64 | tr -d '\\n')" "$3"; }}
is_there() {{ [ -e "$1" ] || [ -h "$1" ]; }}
if [ ! -e {mark} ]; then
    for path in {remains}; do
        ! is_there "$path" || tell remains "$path"
    done
    # A first run that was cut off leaves files of ours before there is a mark.
    for path in {main} {secrets}; do
        ! is_there "$path" || [ "$(head -n 1 "$path")" = {header} ] || tell replaced "$path"
    done
fi
for path in {folder}/* {folder}/.*; do
    [ -f "$path" ] && [ "$path" != {secrets} ] || continue
    case $path in *.[yY][aA][mM][lL] | *.[yY][mM][lL])
        tell beside "$path" "$(head -c {_LONGEST} "$path" | base64 | tr -d '\\n')" ;;
    esac
done
""",
            _parse,
        )

    def diff(self, now: ForeignState) -> Problem | None:
        if now.remains:
            return Problem(
                f"it holds a K3s that k3s-tui did not install: {', '.join(now.remains)}",
                "run k3s-uninstall.sh or k3s-agent-uninstall.sh on it if that cluster is gone",
            )
        if now.replaced:
            return Problem(
                f"it has a K3s configuration of somebody else: {', '.join(now.replaced)}",
                "take what you need of it into the profile ([k3s.server-config] and"
                " [k3s.agent-config]), and move it away",
            )
        if now.unreadable:
            return Problem(
                f"{now.unreadable[0]} is not YAML with options, so K3s would not start",
                "mend it, or move it away",
            )
        if now.overriding:
            told = "; ".join(f"{path} sets {key}" for path, key in now.overriding)
            _, key = now.overriding[0]
            return Problem(
                f"another file sets what k3s-tui sets: {told}",
                f"remove it there. For {key}: {owned(option(key))}",
            )
        return None


def _parse(out: bytes) -> ForeignState:
    found: dict[str, list[str]] = {"remains": [], "replaced": []}
    overriding: list[tuple[str, str]] = []
    unreadable: list[str] = []
    for line in out.decode().splitlines():
        kind, path, content = line.split(" ")
        name = sanitize(base64.b64decode(path).decode(errors="replace"))
        if kind != "beside":
            found[kind].append(name)
            continue
        keys = _keys(content)
        if keys is None:
            unreadable.append(name)
        else:
            overriding += ((name, sanitize(key)) for key in keys if owned(option(key)))
    return ForeignState(
        tuple(found["remains"]), tuple(found["replaced"]), tuple(overriding), tuple(unreadable)
    )


def _keys(encoded: str) -> list[str] | None:
    """The options that a configuration file sets; None when it is none.

    Raises nothing: an error about what cannot be understood would quote it.
    """
    try:
        document = loaded(base64.b64decode(encoded).decode())
    except ValueError:
        return None
    if document is None:
        return []
    return [str(key) for key in document] if isinstance(document, dict) else None
