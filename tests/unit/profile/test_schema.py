from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from k3s_tui.profile.reference import PATTERN, NotAReference, SecretRef
from k3s_tui.profile.schema import schema, text
from tests.unit.profile.documents import HOW_TO, TEXT

COMMITTED = HOW_TO.parents[1] / "reference" / "profile.schema.json"


def test_the_committed_schema_is_the_present_one() -> None:
    assert COMMITTED.read_text() == text(), "k3s-tui schema > docs/reference/profile.schema.json"


def accepts(node: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """As much of JSON schema as ours uses; an unknown word fails."""
    checks: dict[str, Callable[[Any], bool]] = {
        "$ref": lambda ref: accepts(root["$defs"][ref.rsplit("/", 1)[1]], value, root),
        "type": lambda name: isinstance(
            value, {"object": dict, "array": list, "string": str, "integer": int}[name]
        ),
        "enum": lambda options: value in options,
        "pattern": lambda pattern: not isinstance(value, str) or bool(re.search(pattern, value)),
        "maxLength": lambda most: len(value) <= most,
        "minItems": lambda least: len(value) >= least,
        "minimum": lambda least: value >= least,
        "maximum": lambda most: value <= most,
        "items": lambda item: all(accepts(item, each, root) for each in value),
        "required": lambda names: set(names) <= set(value),
        "propertyNames": lambda name: all(accepts(name, key, root) for key in value),
        "properties": lambda known: all(
            accepts(known[key], item, root) for key, item in value.items() if key in known
        ),
        "additionalProperties": lambda other: all(
            accepts(other, item, root) if isinstance(other, dict) else bool(other)
            for key, item in value.items()
            if key not in node.get("properties", {})
        ),
    }
    words = {"$schema", "$defs", "title", "description", "default"}
    return all(checks[word](said) for word, said in node.items() if word not in words)


@pytest.mark.parametrize(
    ("old", "new", "accepted"),
    [
        ("", "", True),
        ('user = "k3s"', 'user = "K3s"', False),
        ('["agent"]', '["agnt"]', False),
        ("[pki]", "[pkey]", False),
        ("store:k3s.token", "hunter2", False),
        ("port = 6443", "port = 0", False),
        ("[hosts.nginx]", "[hosts.Nginx]", False),
    ],
)
def test_it_says_what_the_types_say(old: str, new: str, accepted: bool) -> None:
    document = tomllib.loads(TEXT.replace(old, new, 1))
    assert accepts(schema(), document, schema()) is accepted


REFERENCES = ["store:a.b-c", "file:/x y", "file:x", "env:A_1", "keyring:a b/c@d", "prompt:"]
OTHERS = ["store:", "store:A", "file:", "env:1", "keyring:a", "prompt:x", "x:y", "hunter2", "", ":"]


@pytest.mark.parametrize("reference", REFERENCES)
def test_references(reference: str) -> None:
    assert str(SecretRef.parse(reference)) == reference
    assert re.search(PATTERN, reference)


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_reference(other: str) -> None:
    with pytest.raises(NotAReference):
        SecretRef.parse(other)
    assert not re.search(PATTERN, other)
