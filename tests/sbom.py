"""`python -m tests.sbom`: what k3s-tui is made of, as CycloneDX 1.5 JSON on standard output.

From requirements.lock: every pinned package with the SHA-256 of each file that pip accepts for it.
Its scope is `required` for what k3s-tui needs, `optional` for its extras, and `excluded` for what
only its development needs.  The same lock file gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from k3s_tui import __version__

LOCK = Path(__file__).parents[1] / "requirements.lock"
EXTRAS = ("keyring",)


@dataclass(frozen=True)
class Pin:
    """One requirement of the lock file."""

    name: str
    version: str
    marker: str
    """Where it is needed; '' for everywhere."""
    sha256: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def pins(text: str) -> list[Pin]:
    """The requirements of a lock file.  Raises ValueError for one that is not pinned by hashes."""
    found = []
    for entry in text.replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        head, *hashes = entry.split("--hash=")
        wanted = Requirement(head.strip())
        pinned = re.fullmatch(r"==([^*,]+)", str(wanted.specifier))
        digests = [re.fullmatch(r"sha256:([0-9a-f]{64})", value.strip()) for value in hashes]
        if pinned is None or wanted.url or not digests or None in digests:
            raise ValueError(f"not pinned to files that are known: {head.strip()}")
        found.append(
            Pin(
                canonicalize_name(wanted.name),
                pinned[1],
                str(wanted.marker or ""),
                tuple(digest[1] for digest in digests if digest),
            )
        )
    return found


def needed(name: str, extras: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """What an installed package needs, on any platform, with what each of those needs."""
    graph: dict[str, set[str]] = {}
    todo = [(canonicalize_name(name), frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        below = graph.setdefault(at[0], set())
        for wanted in _requirements(*at):
            other = canonicalize_name(wanted.name)
            below.add(other)
            todo.append((other, frozenset(wanted.extras)))
    return graph


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    try:
        told = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # of another platform
        return
    for wanted in map(Requirement, told):
        asked = re.findall(r"extra == ['\"]([^'\"]+)", str(wanted.marker or ""))
        if not asked or extras & {*asked}:
            yield wanted


def document(text: str) -> dict[str, Any]:
    """The bill of materials of a lock file's text."""
    every = {pin.name: pin for pin in pins(text)}
    required, optional = needed("k3s-tui"), needed("k3s-tui", EXTRAS)
    us = f"pkg:pypi/k3s-tui@{__version__}"
    refs = {name: pin.purl for name, pin in every.items()}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": us,
                "name": "k3s-tui",
                "version": __version__,
                "purl": us,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [
            _component(pin, _scope(name, required, optional)) for name, pin in every.items()
        ],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(refs[below] for below in needs if below in refs)}
            for ref, needs in [
                (us, required["k3s-tui"]),
                *((refs[n], needs) for n, needs in optional.items() if n in refs),
            ]
        ],
    }


def _scope(name: str, required: Mapping[str, object], optional: Mapping[str, object]) -> str:
    if name in required:
        return "required"
    return "optional" if name in optional else "excluded"


def _component(pin: Pin, scope: str) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "scope": scope,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{pin.name}/{pin.version}/",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.sha256],
            }
        ],
    }
    if pin.marker:
        component["properties"] = [{"name": "k3s-tui:marker", "value": pin.marker}]
    return component


if __name__ == "__main__":
    print(json.dumps(document(LOCK.read_text()), indent=2))
