"""Certificates of others for the fuzzer, judged as `pki import` and `plan` judge them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from k3s_tui.pki import adopt, checks
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client, datastore_server
from tests.faults.fuzzing import Read, Target

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def targets(ours: Authority, pems: Sequence[bytes]) -> list[Target]:
    """`pems` are keys, requests and certificates of all kinds."""
    some = [pem for pem in pems if b"BEGIN CERTIFICATE-" in pem]
    bundles = [*some, some[0] + some[1], some[1] + some[0]]
    return [
        Target("CA of others", bundles, _authority(ours), armored=True),
        Target("certificate of others", bundles, _leaf(ours, some[1].decode()), armored=True),
    ]


def _authority(ours: Authority) -> Read:
    def read(data: bytes) -> None:
        text = data.decode(errors="replace")
        _told(checks.of_authority(text, NOW))
        _told(checks.of_authority_key(ours.key, text))
        _told(checks.of_leaf(ours.certificate_pem, datastore_server("db"), text, NOW))

    return read


def _leaf(ours: Authority, good: str) -> Read:
    def read(data: bytes) -> None:
        text = data.decode(errors="replace")
        ca = ours.certificate_pem
        profile = datastore_client("k3s", "s1")
        _told(checks.of_leaf(text, profile, ca, NOW, others=[good]))
        _told(checks.of_leaf(good, profile, ca, NOW, others=[text]))
        for leaf, known, given in ((text, ca, ""), (good, text, ""), (good, ca, text)):
            judged = adopt.judged(leaf, "db", known, NOW, given)
            assert isinstance(judged, adopt.Kept) or judged.text
        assert adopt.bundle(text, ca)

    return read


def _told(found: Sequence[checks.Checked]) -> None:
    assert found and all(check.text for check in found)
