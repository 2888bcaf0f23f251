"""A certificate that is there already: kept with its CA, or why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from k3s_tui.pki import adopt
from k3s_tui.pki.adopt import Kept, Unfit
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client, datastore_server

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAME = "db.example.org"
CA = Authority.create("theirs", 3650, NOW - timedelta(days=100))
OTHER = Authority.create("another", 3650, NOW - timedelta(days=100))


def leaf(name: str = NAME, *, days: int = 200, by: Authority = CA) -> str:
    made = NOW - timedelta(days=90)
    return by.issue_short_lived(
        datastore_server(name), made, minutes=days * 24 * 60
    ).certificate_pem


def test_its_ca_is_found_among_others() -> None:
    known = OTHER.certificate_pem + CA.certificate_pem
    assert adopt.judged(leaf(), NAME, known, NOW) == Kept(CA.certificate_pem)


def test_its_ca_may_stand_behind_it() -> None:
    assert adopt.judged(leaf() + CA.certificate_pem, NAME, "", NOW) == Kept(CA.certificate_pem)


def test_a_ca_that_is_given_comes_before_what_is_known() -> None:
    found = adopt.judged(leaf(), NAME, CA.certificate_pem, NOW, OTHER.certificate_pem)
    assert isinstance(found, Unfit) and found.why == "ca-unknown"
    assert adopt.judged(leaf(), NAME, "", NOW, CA.certificate_pem) == Kept(CA.certificate_pem)


@pytest.mark.parametrize(
    ("certificate", "why", "text"),
    [
        ("nonsense", "unreadable", "PEM"),
        (CA.certificate_pem, "self-signed", "by itself"),
        (leaf(by=OTHER), "ca-unknown", "CN=another"),
        (leaf("other.example.org"), "unfit", "does not name DNS:db.example.org"),
        (leaf(days=30), "unfit", "not valid now"),
        (
            CA.issue_short_lived(datastore_client("k3s", "a"), NOW, minutes=60).certificate_pem,
            "unfit",
            "not for server authentication",
        ),
    ],
)
def test_what_is_not_kept(certificate: str, why: str, text: str) -> None:
    found = adopt.judged(certificate, NAME, CA.certificate_pem, NOW)
    assert isinstance(found, Unfit) and found.why == why
    assert text in found.text


def test_a_bundle_has_each_certificate_once_and_nothing_else() -> None:
    made = adopt.bundle(f"# theirs\n{CA.certificate_pem}secret", CA.certificate_pem)
    assert made == CA.certificate_pem
