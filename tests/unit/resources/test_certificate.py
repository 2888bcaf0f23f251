from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from k3s_tui.core.contract import Change, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.pki import inspect
from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client, datastore_server
from k3s_tui.resources.certificate import CertificateState, HostCertificate
from tests.unit.hands import ME, LocalHands

NOW = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
CA = Authority.create("CA", 3650, NOW)
PROFILE = datastore_client("k3s", "server-1")


def wanted(root: Path, **changes: object) -> HostCertificate:
    certificate = HostCertificate(
        str(root / "pki/client"), PROFILE, CA, 730, 243, owner=ME, clock=lambda: NOW
    )
    return replace(certificate, **changes)  # type: ignore[arg-type]  # fields of its own


def versions(root: Path) -> set[str]:
    return {path.name for path in (root / "pki/client").iterdir() if path.name != "current"}


async def test_a_pair_is_issued(hands: LocalHands, root: Path) -> None:
    certificate = wanted(root)
    change = await hands.settle(certificate)
    assert change.summary == (
        f"issue {root}/pki/client/current/tls.crt for CN=k3s (server-1): there is no certificate"
    )
    key, crt = Path(certificate.key_path), Path(certificate.certificate_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(crt.stat().st_mode) == 0o644
    assert stat.S_IMODE((root / "pki/client").stat().st_mode) == 0o755
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert sorted(path.name for path in key.parent.iterdir()) == ["tls.crt", "tls.key"]
    seen = inspect.view(crt.read_text())
    assert (seen.subject, seen.issuer) == ("CN=k3s,OU=server-1", "CN=CA")
    (root / "ca").write_text(CA.certificate_pem)
    subprocess.run(
        ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-CAfile", root / "ca", crt],
        check=True,
    )
    state = await hands.look(certificate)
    assert state.fingerprint == seen.fingerprint.replace(":", "").lower()


async def test_the_key_stays_on_the_host(hands: LocalHands, root: Path) -> None:
    certificate = wanted(root)
    await hands.settle(certificate)
    key = Path(certificate.key_path).read_text().splitlines()[1]
    state = await hands.look(certificate)
    assert key not in "".join(hands.scripts) + repr(state) + "".join(hands.said)


async def test_a_right_pair_is_left_alone(hands: LocalHands, root: Path) -> None:
    await hands.settle(wanted(root))
    later = wanted(root, clock=lambda: NOW + timedelta(days=400))
    assert later.diff(await hands.look(later)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"profile": datastore_client("k3s", "server-2")}, "its unit is 'server-1'"),
        ({"profile": datastore_server("pg", ("10.0.0.1",))}, "its names are nothing"),
        ({"authority": Authority.create("CA", 3650, NOW)}, "it is not signed by the CA CN=CA"),
        ({"clock": lambda: NOW + timedelta(days=600)}, "it ends in 130 days"),
        ({"clock": lambda: NOW + timedelta(days=400), "renew_days": 331}, "it ends in 330 days"),
    ],
)
async def test_key_and_certificate_change_together(
    hands: LocalHands, root: Path, changes: dict[str, object], reason: str
) -> None:
    certificate = wanted(root)
    await hands.settle(certificate)
    before = Path(certificate.key_path).read_text(), versions(root)
    change = await hands.settle(wanted(root, **changes))
    assert change.summary.startswith("renew ")
    assert reason in change.summary
    assert Path(certificate.key_path).read_text() != before[0]
    # The version before is kept, one before that is not.
    assert len(versions(root)) == 2
    assert versions(root) > before[1]
    await hands.settle(certificate)
    assert len(versions(root)) == 2
    assert not versions(root) & before[1]


async def test_drift(hands: LocalHands, root: Path) -> None:
    certificate = wanted(root)
    key, crt = Path(certificate.key_path), Path(certificate.certificate_path)
    await hands.settle(certificate)
    key.chmod(0o644)
    assert f"tls.key is 0644 {ME}, not 0600 {ME}" in (await hands.settle(certificate)).summary
    key.unlink()
    assert "the key beside it" in (await hands.settle(certificate)).summary
    crt.write_text("junk")
    assert "it cannot be read" in (await hands.settle(certificate)).summary
    crt.unlink()
    assert "there is no certificate" in (await hands.settle(certificate)).summary
    (root / "pki/client/current").unlink()
    await hands.settle(certificate)
    key.parent.resolve().chmod(0o755)
    assert f"its folder is 0755 {ME}" in (await hands.settle(certificate)).summary


@pytest.mark.skipif(os.getuid() != 0, reason="gives files away, as only root can")
async def test_another_owner(hands: LocalHands, root: Path) -> None:
    certificate = wanted(root, owner="daemon:daemon")
    await hands.settle(certificate)
    key = Path(certificate.key_path)
    for path in (key, key.parent, Path(certificate.certificate_path)):
        assert (path.stat().st_uid, path.stat().st_gid) == (1, 1), path
    assert (root / "pki/client").stat().st_uid == 0
    change = await hands.settle(wanted(root))
    assert f"tls.key is 0600 daemon:daemon, not 0600 {ME}" in change.summary


async def test_a_kill_in_between_is_mended(hands: LocalHands, root: Path) -> None:
    certificate = wanted(root)
    await hands.settle(certificate)
    pair = Path(certificate.certificate_path).read_text()
    newer = wanted(root, profile=datastore_client("k3s", "server-2"))
    hands.tool("mv", 'case $* in *current*) kill -9 $PPID ;; *) exec /bin/mv "$@" ;; esac')
    with pytest.raises(StepFailed):
        await newer.apply(hands, Change(""))
    # The old pair is whole, and what was left half done goes away.
    assert Path(certificate.certificate_path).read_text() == pair
    assert certificate.diff(await hands.look(certificate)) is None
    (hands.tools / "mv").unlink()
    await hands.settle(newer)
    assert len(versions(root)) == 2


async def test_a_folder_where_the_link_belongs(hands: LocalHands, root: Path) -> None:
    (root / "pki/client/current").mkdir(parents=True)
    certificate = wanted(root)
    assert isinstance(certificate.diff(await hands.look(certificate)), Problem)
    with pytest.raises(StepFailed, match="not a link"):
        await certificate.apply(hands, Change(""))


async def test_without_openssl_a_plan_still_says_what_it_would_do(
    hands: LocalHands, root: Path
) -> None:
    certificate = wanted(root)
    await hands.settle(certificate)
    hands.tool("openssl", "exit 127")
    change = certificate.diff(await hands.look(certificate))
    assert isinstance(change, Change)
    assert change.summary.endswith(": it does not belong to the key beside it")
    with pytest.raises(StepFailed):
        await certificate.apply(hands, change)


def test_an_empty_answer_is_no_certificate() -> None:
    state = CertificateState("", "", "", ())
    certificate = HostCertificate("/x", PROFILE, CA, 730, 243)
    assert certificate.probe().parse(b"") == state
    assert isinstance(certificate.diff(state), Change)
    assert state.fingerprint == ""
