"""Hostile values, every place of a profile that they can be put into, and profiles to put them in.

The places are found by walking the types of the profile, so that a new field is attacked too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from k3s_tui.profile.model import Profile
from k3s_tui.profile.reference import SecretRef
from tests.faults.sandbox import CANARY
from tests.lab import paths
from tests.unit.procedure.sites import HOW_TO

SING = f": >{CANARY}"
VALUES = [
    f"$({SING})",
    f"`{SING}`",
    f"'; {SING}; '",
    f'"; {SING}; "',
    f"'\"; {SING} #",
    f"a\n{SING}\nb",
    f"a; {SING}",
    f"a\r\n{SING}",
    f"a | {SING} & {SING}",
    f"${{x:-$({SING})}}",
    f"\\'; {SING}; \\'",
    f"-oProxyCommand={SING}",
    "'; drop table canary; --",
    '"; drop table canary; --',
    "../../../../canary",
    "%s%n%d%(x)s",
    "{{ x }} {x} $x",
    "host all all 0.0.0.0/0 trust",
    "k3s\n",
    "a\tb",
    "a b",
    "*",
    "#",
    "é日本",
    "a\u202eb",
    "a\x00b",
    "a\x1b[2Jb",
    "",
]

KEY = object()
"""Stands for a key of a table where otherwise a key's name is."""

Place = tuple[Any, ...]


def plain(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = annotation.__origin__
        elif origin in (Union, UnionType):
            annotation = next(a for a in get_args(annotation) if a is not type(None))
        else:
            return annotation


def places(annotation: Any, value: Any, at: Place = (), choices: bool = True) -> Iterator[Place]:
    """Every place of a type that can hold a text, whether `value` says something there or not.

    `choices`: those too where only some words are allowed.
    """
    kind = plain(annotation)
    origin = get_origin(kind) or kind
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for spec in msgspec.structs.fields(kind):
            yield from places(
                spec.type, getattr(value, spec.name, None), (*at, spec.encode_name), choices
            )
    elif origin is dict:
        item = get_args(kind)[1]
        yield (*at, KEY)
        inner = dict(value or {}) or {"a-key": None}
        for name, element in inner.items():
            yield from places(item, element, (*at, name), choices)
        if item is Any:
            yield (*at, "a-list", 0)
    elif origin is list:
        yield from places(get_args(kind)[0], None, (*at, 0), choices)
    elif origin in (str, SecretRef) or kind is Any or (choices and origin is Literal):
        yield at


def put(document: Any, place: Place, value: Any) -> Any:
    """A document with a text at a place, made where it is missing."""
    if not place:
        return value
    first, *rest = place
    if isinstance(first, int):
        return [put(None, tuple(rest), value), *(document or [])[1:]]
    table = dict(document or {})
    if first is KEY:
        old = next(iter(table), None)
        return {(value if key == old else key): item for key, item in table.items()} or {value: "x"}
    return {**table, first: put(table.get(first), tuple(rest), value)}


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return value


def example(name: str) -> dict[str, Any]:
    return tomllib.loads((paths.REPOSITORY / f"docs/examples/{name}.toml").read_text())


HOW_TO_DOCUMENT = without_none(msgspec.to_builtins(HOW_TO, enc_hook=str))
del HOW_TO_DOCUMENT["datastore"]["engine"]  # a default that means nothing there
DOCUMENTS = {
    "online": HOW_TO_DOCUMENT,
    "mirror": {
        **HOW_TO_DOCUMENT,
        "install": {"source": "mirror", "mirror": "https://mirror.example.org/k3s"},
    },
    "airgap": {**HOW_TO_DOCUMENT, "install": {"source": "airgap", "bundle": "bundle"}},
    "external": {
        **HOW_TO_DOCUMENT,
        "loadbalancer": {"mode": "external", "address": "10.161.129.118"},
        "hosts": {n: h for n, h in HOW_TO_DOCUMENT["hosts"].items() if n != "nginx"},
    },
    "existing": put(
        put(example("existing-postgresql"), ("datastore", "client-certificate"), "client.pem"),
        ("datastore", "client-key"),
        "client.key",
    ),
    "own-pki": {
        **HOW_TO_DOCUMENT,
        "pki": {
            "mode": "bring-your-own",
            "ca": "ca.pem",
            "ca-key": "ca.key",
            "ca-key-passphrase": "prompt:",
        },
    },
    "signed-elsewhere": {**HOW_TO_DOCUMENT, "pki": {"mode": "bring-your-own", "ca": "ca.pem"}},
    "existing-mysql": example("existing-mysql"),
    "embedded": example("embedded"),
}
SECRETS = {"password", "sudo-password", "token", "agent-token", "ca-key-passphrase"}
PLACES = list(places(Profile, HOW_TO))

USUAL = {
    "jump": "ops@bastion:22",
    "node-ip": "10.0.0.1",
    "user": "ops",
    "taints": "key=value:NoSchedule",
    "tls-san": "k3s.example.org",
    "script-url": "https://get.k3s.io",
    "mirror": "https://mirror.example.org/k3s",
    "sudo-password": "file:password",
}
"""What is usual where a document says nothing; elsewhere it is a word."""


def fitting(document: Any, place: Place, value: str) -> str:
    """The value inside what is usual there, such as `https://get.k3s.i$(…)o`."""
    at: Any = document
    for part in place:
        if part is KEY:
            at = next(iter(at or {}), None)
        elif isinstance(part, int):
            at = at[0] if at else None
        else:
            at = (at or {}).get(part)
    usual = at or next((USUAL[p] for p in reversed(place) if p in USUAL), "some-word")
    return f"{str(usual)[:-1]}{value}{str(usual)[-1]}"


def bypassed(profile: Any, place: Place, value: str) -> Any:
    """The profile with a text at a place, unchecked: as if the loader had let it through."""
    if not place:
        return SecretRef("file", value) if isinstance(profile, SecretRef) else value
    first, *rest = place
    if isinstance(profile, msgspec.Struct):
        names = {spec.encode_name: spec.name for spec in msgspec.structs.fields(type(profile))}
        inner = bypassed(getattr(profile, names[first]), tuple(rest), value)
        return msgspec.structs.replace(profile, **{names[first]: inner})
    if isinstance(first, int):
        return [value, *(profile or [])[1:]]
    table = dict(profile or {})
    if first is KEY:
        old = next(iter(table), None)
        return {(value if key == old else key): item for key, item in table.items()} or {value: "x"}
    if first not in table and any(isinstance(item, msgspec.Struct) for item in table.values()):
        raise LookupError(first)  # a host that has got another name meanwhile
    return {**table, first: bypassed(table.get(first), tuple(rest), value)}
