"""A pair whose certificate was signed elsewhere: its key is made on the host, or comes along."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.secret import Secret
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client
from k3s_tui.resources.certificate import CertificateState
from k3s_tui.resources.given_certificate import (
    NO_OPENSSL,
    CertificateCame,
    GivenCertificate,
    Leaf,
    request,
)
from tests.unit.hands import ME, LocalHands
from tests.unit.shells import SHELLS, run

NOW = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
CA = Authority.create("site CA", 3650, NOW)
PROFILE = datastore_client("k3s", "server-1")


def wanted(root: Path, leaf: Leaf | None) -> GivenCertificate:
    return GivenCertificate(
        str(root / "client"), PROFILE, replace(CA, key=Secret("")), 730, 243, owner=ME,
        clock=lambda: NOW, leaf=leaf,
    )  # fmt: skip


def pair() -> Leaf:
    made = CA.issue_short_lived(PROFILE, NOW)
    return Leaf(made.certificate_pem, made.key)


async def requested(hands: LocalHands, root: Path) -> str:
    """The signing request, of a key that stays on the host."""
    hands.tool("chown", ":")  # root's, where the tests are not
    script = request(str(root / "client"), "OU=server-1\nCN=k3s\n", ())
    return (await hands.sh(script)).decode()


@pytest.mark.parametrize("shell", SHELLS)
def test_without_openssl_nothing_is_begun(shell: str, tmp_path: Path) -> None:
    script = request(str(tmp_path / "client"), "CN=k3s\n", ())
    (tmp_path / "empty").mkdir()
    done = run(shell, f"PATH={tmp_path}/empty\n{script}")
    assert done.returncode == NO_OPENSSL
    assert done.stderr.decode().splitlines() == ["there is no openssl on this host"]
    assert not (tmp_path / "client").exists()


def signed(csr: str) -> Leaf:
    return Leaf(CA.sign(csr, PROFILE, 365, NOW))


async def installed(hands: LocalHands, certificate: GivenCertificate) -> Change[CertificateState]:
    """Look, make the change, and find what was promised, and nothing more to do."""
    change = certificate.diff(await hands.look(certificate))
    assert isinstance(change, Change) and change.after is not None, change
    await certificate.apply(hands, change)
    now = await hands.look(certificate)
    assert certificate.diff(now) is None
    assert now.fingerprint == change.after.fingerprint != ""
    return change


async def test_as_long_as_none_has_come(hands: LocalHands, root: Path) -> None:
    for certificate in (wanted(root, None), CertificateCame(wanted(root, None))):
        found = certificate.diff(await hands.look(certificate))
        assert isinstance(found, Problem)
        assert "no certificate for CN=k3s yet" in found.text and "k3s-tui pki csr" in found.hint


async def test_a_pair_from_elsewhere(hands: LocalHands, root: Path) -> None:
    leaf = pair()
    certificate = wanted(root, leaf)
    assert CertificateCame(certificate).diff(await hands.look(certificate)) is None
    change = await installed(hands, certificate)
    assert change.summary.startswith(f"install {root}/client/current/tls.crt for CN=k3s")
    key, crt = Path(certificate.key_path), Path(certificate.certificate_path)
    assert leaf.key is not None and key.read_text() == leaf.key.reveal()
    assert crt.read_text() == leaf.certificate_pem
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert leaf.key.reveal() not in "".join(hands.said)
    assert certificate.diff(await hands.look(certificate)) is None
    key.chmod(0o644)
    assert "tls.key is 0644" in (await installed(hands, certificate)).summary
    key.write_text(Authority.create("other", 9, NOW).key.reveal())
    assert "its key is not beside it" in (await installed(hands, certificate)).summary
    another = wanted(root, pair())
    assert (await installed(hands, another)).summary.startswith("replace ")


async def test_the_key_of_a_request_stays_on_the_host(hands: LocalHands, root: Path) -> None:
    csr = await requested(hands, root)
    assert "PRIVATE KEY" not in csr
    made = (root / "client/requested/tls.key").read_text()
    certificate = wanted(root, signed(csr))
    assert CertificateCame(certificate).diff(await hands.look(certificate)) is None
    await installed(hands, certificate)
    assert Path(certificate.key_path).read_text() == made
    assert made not in "".join(hands.scripts) + "".join(hands.said)
    assert not (root / "client/requested").exists()
    # Renewed for the same key: that of the pair in place.
    again = wanted(root, signed(csr))
    assert (await installed(hands, again)).summary.startswith("replace ")
    assert Path(again.key_path).read_text() == made


async def test_a_new_request_leaves_the_pair_in_place(hands: LocalHands, root: Path) -> None:
    first = wanted(root, signed(await requested(hands, root)))
    await installed(hands, first)
    before = Path(first.key_path).read_text()
    csr = await requested(hands, root)
    assert await requested(hands, root) != "" and first.diff(await hands.look(first)) is None
    second = wanted(root, signed(csr))
    await installed(hands, second)
    assert Path(second.key_path).read_text() != before


@pytest.mark.parametrize("asked", [False, True])
async def test_a_certificate_for_no_key_of_this_host(
    hands: LocalHands, root: Path, asked: bool
) -> None:
    if asked:
        await requested(hands, root)
    certificate = wanted(root, replace(pair(), key=None))
    for check in (certificate, CertificateCame(certificate)):
        found = check.diff(await hands.look(certificate))
        assert isinstance(found, Problem) and not isinstance(found, Change)
        assert "no key on this host belongs to the certificate" in found.text


async def test_what_stands_in_the_link_s_place(hands: LocalHands, root: Path) -> None:
    (root / "client/current").mkdir(parents=True)
    found = wanted(root, pair()).diff(await hands.look(wanted(root, pair())))
    assert isinstance(found, Problem) and "is not a link" in found.text
