"""The profile's JSON schema, for editors: `k3s-tui schema`."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from k3s_tui.profile.model import Profile
from k3s_tui.profile.reference import PATTERN, SecretRef

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """What a profile may hold.  The rules between values are k3s-tui's own."""
    made = msgspec.json.schema(Profile, schema_hook=_of_reference)
    definitions: dict[str, Any] = made["$defs"]
    top = definitions.pop(Profile.__name__)
    tidied: dict[str, Any] = _tidy(
        {"$schema": DIALECT, **top, "title": "k3s-tui profile", "$defs": definitions}
    )
    return tidied


def text() -> str:
    """The schema as it is committed in docs/reference and printed by `k3s-tui schema`."""
    return json.dumps(schema(), indent=2) + "\n"


def _of_reference(type_: type) -> dict[str, Any]:
    if type_ is not SecretRef:
        raise NotImplementedError(type_.__name__)
    return {
        "type": "string",
        "pattern": PATTERN,
        "description": "where a secret is kept; never the secret itself",
    }


def _tidy(node: Any) -> Any:
    """Without what TOML cannot write (null), and with docstrings on one line."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    options = [option for option in node.get("anyOf", []) if option != {"type": "null"}]
    rest = {key: value for key, value in node.items() if (key, value) != ("default", None)}
    if len(options) == 1:
        rest = {key: value for key, value in rest.items() if key != "anyOf"} | options[0]
    if isinstance(rest.get("description"), str):
        rest["description"] = " ".join(rest["description"].split())
    return {key: _tidy(value) for key, value in rest.items()}
