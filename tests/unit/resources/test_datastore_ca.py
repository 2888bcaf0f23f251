"""The datastore's CA is not replaced under servers that run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from k3s_tui.pki.authority import Authority
from k3s_tui.pki.profiles import datastore_client, datastore_server
from k3s_tui.resources.datastore_ca import CaStays
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA
from k3s_tui.resources.k3s.service import MARK
from tests.unit.hands import LocalHands
from tests.unit.shells import SHELLS

NOW = datetime.now(UTC)
OURS = Authority.create("ours", 3650, NOW)
SITES = Authority.create("site's", 3650, NOW)
BOTH = OURS.ca_pem + SITES.ca_pem
CA, LEAF = "/etc/k3s-tui/datastore/ca.crt", "/etc/k3s-tui/datastore/current/tls.crt"


@pytest.fixture(params=SHELLS)
def hands(request: pytest.FixtureRequest, tmp_path: Path) -> LocalHands:
    return LocalHands(request.param, tmp_path / "tools")


def client_of(authority: Authority) -> str:
    return authority.issue_short_lived(datastore_client("k3s", "k3s-server-1"), NOW).certificate_pem


def served_by(authority: Authority) -> str:
    wanted = datastore_server("postgres.k3s.internal", ("10.0.0.8",))
    return authority.issue_short_lived(wanted, NOW).certificate_pem


def install(root: Path, ca: str = OURS.ca_pem, leaf: str = "", founded: bool = True) -> None:
    files = {MARK: "", CA: ca, LEAF: leaf or client_of(OURS)}
    if founded:
        files[CLUSTER_CA] = ""
    for path, text in files.items():
        file = Path(f"{root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


async def told(hands: LocalHands, root: Path, clients: str, shown: str) -> str:
    check = CaStays(clients, shown, CA, LEAF, str(root))
    found = check.diff(await hands.look(check))
    return found.text if found else ""


async def test_another_one_is_refused(hands: LocalHands, tmp_path: Path) -> None:
    install(tmp_path)
    said = await told(hands, tmp_path, SITES.ca_pem, SITES.certificate_pem)
    assert said == (
        "the datastore's CA cannot be replaced in a cluster that is there"
        " (CN=ours there, CN=site's wanted)"
    )


async def test_before_there_is_a_cluster_nothing_is_fixed(
    hands: LocalHands, tmp_path: Path
) -> None:
    assert not await told(hands, tmp_path, SITES.ca_pem, SITES.certificate_pem)
    install(tmp_path, founded=False)
    assert not await told(hands, tmp_path, SITES.ca_pem, SITES.certificate_pem)


def renewed(authority: Authority) -> str:
    """Its certificate made anew, with the same name and key."""
    now = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    key = serialization.load_pem_private_key(authority.key.reveal().encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made = (
        x509.CertificateBuilder()
        .subject_name(now.subject)
        .issuer_name(now.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("there", "leaf", "clients", "shown"),
    [
        (OURS.ca_pem, client_of(OURS), OURS.ca_pem, OURS.certificate_pem),
        (OURS.ca_pem, client_of(OURS), renewed(OURS), renewed(OURS)),
        # A rotation by hand, each step in a run of its own: both are trusted; the new one signs;
        # the old one goes.
        (OURS.ca_pem, client_of(OURS), BOTH, OURS.certificate_pem),
        (BOTH, client_of(OURS), BOTH, SITES.certificate_pem),
        (BOTH, client_of(SITES), SITES.ca_pem, SITES.certificate_pem),
        # Signed elsewhere: what PostgreSQL will show is known itself.
        (OURS.ca_pem, client_of(OURS), OURS.ca_pem, served_by(OURS)),
        # It keeps a certificate that is not ours; only the servers' are.
        (SITES.ca_pem, client_of(OURS), OURS.ca_pem, ""),
        # Somebody wrote over one of them: K3s runs with what was there before.
        (SITES.ca_pem, client_of(OURS), OURS.ca_pem, OURS.certificate_pem),
        ("nothing", client_of(OURS), OURS.ca_pem, OURS.certificate_pem),
        (OURS.ca_pem, "nothing", OURS.ca_pem, OURS.certificate_pem),
    ],
)
async def test_what_both_sides_trust_goes_on(
    hands: LocalHands, tmp_path: Path, there: str, leaf: str, clients: str, shown: str
) -> None:
    install(tmp_path, there, leaf)
    assert not await told(hands, tmp_path, clients, shown)


@pytest.mark.parametrize(
    ("clients", "shown"),
    [
        # The new one signs before the servers know it.
        (BOTH, SITES.certificate_pem),
        (BOTH, served_by(SITES)),
        # Servers would be refused by what they have.
        (SITES.ca_pem, ""),
    ],
)
async def test_one_side_is_not_enough(
    hands: LocalHands, tmp_path: Path, clients: str, shown: str
) -> None:
    install(tmp_path)
    assert "cannot be replaced" in await told(hands, tmp_path, clients, shown)
