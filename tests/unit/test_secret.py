from __future__ import annotations

import base64
import json
import pickle
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k3s_tui.core.secret import MASK, Redactor, Secret


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("canary-value")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>10}", "%s" % secret, repr([secret])]  # noqa: UP031
    assert not any("canary" in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps({"value": secret})


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=12, max_size=40))
def test_each_form_of_a_secret_is_redacted(value: str) -> None:
    redact = Redactor([Secret(value)])
    for text in (value, urllib.parse.quote(value, safe=""), json.dumps(value)):
        assert value not in redact(f"before {text} after")
        assert MASK in redact(text)
    for lead in (b"", b"x", b"xy"):
        encoded = base64.b64encode(lead + value.encode() + b"tail").decode()
        assert MASK in redact(encoded)


def test_a_key_is_redacted_line_by_line() -> None:
    redact = Redactor([Secret("-----BEGIN-----\nMIGHAgEAMBMGByqGSM49\n-----END-----\n")])
    assert redact("seen: MIGHAgEAMBMGByqGSM49") == f"seen: {MASK}"


def test_short_values_do_not_blank_out_words() -> None:
    assert Redactor([Secret("k3s")])("k3s is running") == "k3s is running"
