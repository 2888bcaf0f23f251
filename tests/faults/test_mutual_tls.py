"""P9: mutual TLS is on. What is wrong in one thing is refused by PostgreSQL, and told here before.

The logins are libpq's, from the K3s server's own address; each differs from one that works.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k3s_tui.core.secret import Secret
from k3s_tui.pki.authority import Authority, KeyPair
from k3s_tui.pki.judge import objections
from k3s_tui.pki.profiles import LeafProfile, datastore_client
from k3s_tui.profile.store import CA_CERTIFICATE, CA_KEY
from tests.faults.postgres_logins import Attempt, from_host
from tests.faults.tally import Tally
from tests.lab import paths
from tests.lab.lab import Lab
from tests.lab.product import Done, Product

SERVER, USER, HOSTNAME = "k3s-server-1", "k3s", "postgres.rancher.rke2"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Datastore:
    """A real PostgreSQL as k3s-tui leaves it, and what a login to it needs."""

    product: Product
    authority: Authority
    password: str

    def attempt(self, pair: KeyPair | None, **other: str) -> Attempt:
        """The right login with that certificate, except for what is said otherwise."""
        given: Attempt = {
            "hostaddr": self.product.lab.addresses["postgres"],
            "host": HOSTNAME,
            "dbname": USER,
            "user": USER,
            "password": self.password,
            "sslmode": "verify-full",
            "gssencmode": "disable",
            "ca": self.authority.certificate_pem,
        }
        if pair is not None:
            given |= {"cert": pair.certificate_pem, "key": pair.key.reveal()}
        return given | other

    def log(self) -> str:
        return self.product.lab.host("postgres").sh("cat /var/log/postgresql/*.log")


@pytest.fixture(scope="module")
def datastore(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Datastore:
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    assert product.init().status == 0
    wanted = (f"--only={SERVER}/servers/{what}" for what in ("datastore-login", "certificate"))
    made = product.apply(*wanted)
    assert made.status == 0, made
    secrets = product.secrets()
    authority = Authority.from_pem(Secret(secrets[CA_KEY] + "\n"), secrets[CA_CERTIFICATE] + "\n")
    return Datastore(product, authority, secrets["datastore.password"])


# -- certificates that are wrong in one thing -----------------------------------------------------


def right(authority: Authority) -> KeyPair:
    return authority.issue_short_lived(datastore_client(USER, SERVER), _now())


def of_another_day(days: int) -> Callable[[Authority], KeyPair]:
    """Valid for a day that is so many days away."""

    def make(authority: Authority) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        csr = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
        pem = csr.public_bytes(serialization.Encoding.PEM).decode()
        profile = datastore_client(USER, SERVER)
        return KeyPair(_pem(key), authority.sign(pem, profile, 1, _now() + days * DAY))

    return make


def of_a_server(authority: Authority) -> KeyPair:
    return authority.issue_short_lived(LeafProfile("server", USER, SERVER), _now())


def of_another_cluster(authority: Authority) -> KeyPair:
    """Whose profile has the same name: the CA's subject is the same to the letter."""
    ours = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    (name,) = ours.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return right(Authority.create(str(name.value), 30, _now()))


def signed_by_itself(authority: Authority) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    return KeyPair(_pem(key), _signed(key, _subject(), key))


def signed_by_a_leaf(authority: Authority) -> KeyPair:
    """By the key of a server, as the certificates of the how-to would have allowed."""
    leaf = right(authority)
    holder = x509.load_pem_x509_certificate(leaf.certificate_pem.encode())
    signer = serialization.load_pem_private_key(leaf.key.reveal().encode(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    return KeyPair(_pem(key), _signed(key, holder.subject, signer) + leaf.certificate_pem)


def for_another_name(authority: Authority) -> KeyPair:
    return authority.issue_short_lived(datastore_client("postgres", SERVER), _now())


@dataclass(frozen=True)
class Wrong:
    """How to make it; what libpq is told, in any of these words; and what our own check says."""

    make: Callable[[Authority], KeyPair]
    refusal: tuple[str, ...]
    objection: str


WRONG = {
    "expired": Wrong(of_another_day(-30), ("certificate expired",), "it ended on"),
    "not yet valid": Wrong(of_another_day(30), ("bad certificate",), "it is not valid before"),
    "a server's": Wrong(
        of_a_server, ("unsupported certificate",), "it is for server authentication"
    ),
    "another cluster's": Wrong(
        of_another_cluster, ("decrypt error", "unknown ca"), "not signed by the CA"
    ),
    "signed by itself": Wrong(signed_by_itself, ("unknown ca",), "not signed by the CA"),
    "signed by a leaf": Wrong(
        signed_by_a_leaf, ("unknown ca", "bad certificate"), "not signed by the CA"
    ),
    "for another name": Wrong(for_another_name, ("authentication failed",), "its common name is"),
}


def test_every_wrong_certificate_is_refused(datastore: Datastore, tally: Tally) -> None:
    """By the real PostgreSQL, and by nothing else: the right one is let in before and after."""
    row = tally("P9", "a client certificate that is wrong in one thing")
    pairs = [right(datastore.authority)]
    pairs += [wrong.make(datastore.authority) for wrong in WRONG.values()]
    pairs += [right(datastore.authority)]
    first, *said, last = from_host(
        datastore.product.lab, SERVER, [datastore.attempt(pair) for pair in pairs]
    )
    assert (first, last) == ("", "")
    for (name, wrong), words in zip(WRONG.items(), said, strict=True):
        row.injected += 1
        assert words, f"{name} was let in"
        assert any(reason in words for reason in wrong.refusal), f"{name}: {words}"
        row.survived += 1


@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_certificate_is_told_here(datastore: Datastore, name: str) -> None:
    """The check that decides about certificates on hosts has an objection to each, and says it."""
    wrong, wanted = WRONG[name], datastore_client(USER, SERVER)

    def told(pair: KeyPair) -> list[str]:
        ca = datastore.authority.certificate_pem
        return objections(pair.certificate_pem, wanted, ca, _now(), timedelta(0))

    assert not told(right(datastore.authority))
    assert any(wrong.objection in reason for reason in told(wrong.make(datastore.authority)))


def test_every_other_way_in_is_refused(datastore: Datastore, tally: Tally) -> None:
    """Without a certificate, without TLS, by a wrong password, as somebody else; from elsewhere."""
    row = tally("P9", "another way past mutual TLS")
    lab, pair = datastore.product.lab, right(datastore.authority)
    stranger = Authority.create("another CA", 30, _now())
    ways: dict[str, tuple[Attempt, tuple[str, ...]]] = {
        "no certificate": (datastore.attempt(None), ("valid client certificate",)),
        "plain TCP": (datastore.attempt(pair, sslmode="disable"), ("no encryption",)),
        "wrong password": (datastore.attempt(pair, password="x"), ("authentication failed",)),
        "as postgres": (datastore.attempt(pair, user="postgres"), ("pg_hba.conf",)),
        "another database": (datastore.attempt(pair, dbname="postgres"), ("pg_hba.conf",)),
        # And the other half of it: a K3s server talks to no PostgreSQL but ours.
        "an unknown server": (
            datastore.attempt(pair, ca=stranger.certificate_pem),
            ("certificate verify failed",),
        ),
        "another host name": (datastore.attempt(pair, host="elsewhere"), ("does not match",)),
    }
    told = from_host(lab, SERVER, [attempt for attempt, _ in ways.values()])
    for (name, (_, reasons)), words in zip(ways.items(), told, strict=True):
        row.injected += 1
        assert any(reason in words for reason in reasons), f"{name}: {words or 'was let in'}"
        row.survived += 1
    for elsewhere in ("k3s-agent", "nginx"):
        row.injected += 1
        (words,) = from_host(lab, elsewhere, [datastore.attempt(pair)])
        assert "pg_hba.conf" in words and lab.addresses[elsewhere] in words, words
        row.survived += 1


def test_a_certificate_on_a_server_that_ended_is_renewed(datastore: Datastore) -> None:
    """What lies on the host is judged by every plan, whoever put it there."""
    product = datastore.product
    host = product.lab.host(SERVER)
    folder = "/etc/k3s-tui/datastore/current"
    csr = host.sh(f"openssl req -new -sha256 -key {folder}/tls.key -subj /CN=x")
    profile = datastore_client(USER, SERVER)
    ended = datastore.authority.sign(csr, profile, 1, _now() - 30 * DAY)
    host.sh(f"cat >{folder}/tls.crt <<'PEM'\n{ended}PEM")
    only = ("--only", f"{SERVER}/servers/certificate")
    (planned,) = product.plan(*only).of("planned", step=f"{SERVER}/servers/certificate")
    assert planned["verdict"] == "change" and "it ended on" in planned["summary"], planned
    assert product.apply(*only).steps("changed") >= {f"{SERVER}/servers/certificate"}
    pem = host.sh(f"cat {folder}/tls.crt")
    assert not objections(pem, profile, datastore.authority.certificate_pem, _now(), 30 * DAY)


@pytest.mark.full
def test_verify_finds_an_open_door(datastore: Datastore, tally: Tally) -> None:
    """The refusals of `verify` can fail: with a rule too many, each says what was let in."""
    row = tally("P9", "a door that is open, which verify must tell")
    product = datastore.product
    host = product.lab.host("postgres")
    rules = "/etc/postgresql/15/main/pg_hba.conf"
    host.sh(f"cp -p {rules} /root/rules; sed -i '1i host all all all trust' {rules}")
    host.sh("systemctl reload postgresql@15-main")
    done = product.run(
        "verify", product.profile, "--json", "--only", f"{SERVER}/verification/refuses-*"
    )
    host.sh(f"mv /root/rules {rules}; systemctl reload postgresql@15-main")
    kinds = ("no-certificate", "wrong-cn", "plain-tcp", "wrong-password")
    row.injected += len(kinds)
    assert done.status == 6, done
    assert done.steps("failed") == {f"{SERVER}/verification/refuses-{kind}" for kind in kinds}
    for event in done.of("step-done", outcome="failed"):
        assert "was let in" in event["error"], event
        row.survived += 1


WITH_THAT_CA = """
import sys
from pathlib import Path
from k3s_tui.core.secret import Secret
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure import verification

key, certificate, *words = sys.argv[1:]

class Known(Authority):
    @classmethod
    def create(cls, name, days, now):
        return Authority.from_pem(Secret(Path(key).read_text()), Path(certificate).read_text())

verification.Authority = Known
sys.argv = ["k3s-tui", *words]
from k3s_tui.cli import main
main()
"""
"""k3s-tui, whose other CA is not made up for the proof, but this one."""


@pytest.mark.full
def test_verify_finds_another_ca_let_in(datastore: Datastore, tally: Tally) -> None:
    """A second CA among those that PostgreSQL trusts; a plan would take it out again."""
    row = tally("P9", "a door that is open, which verify must tell")
    product = datastore.product
    host, ca = product.lab.host("postgres"), "/etc/k3s-tui/postgresql/ca.crt"
    other = Authority.create("another CA", 30, _now())
    files = {"other.key": other.key.reveal(), "other.crt": other.certificate_pem}
    for name, text in files.items():
        (product.folder / name).write_text(text)
    command = [sys.executable, "-c", WITH_THAT_CA, *(str(product.folder / name) for name in files)]
    only = ("--only", f"{SERVER}/verification/refuses-other-ca")

    def verify() -> Done:
        done = product.lab.run(
            [*command, "verify", str(product.profile), "--json", *only],
            env=product.environment,
            cwd=paths.REPOSITORY,
            within=300,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    assert verify().status == 0
    row.injected += 1
    host.sh(f"cp -p {ca} /root/ca; cat >>{ca} <<'PEM'\n{other.certificate_pem}PEM")
    host.sh("systemctl reload postgresql@15-main")
    try:
        done, plan = verify(), product.plan("--only", "postgres/datastore/ca")
    finally:
        host.sh(f"mv /root/ca {ca}; systemctl reload postgresql@15-main")
    assert done.status == 6, done
    (failed,) = done.of("step-done", outcome="failed")
    assert "a login with a certificate of another CA was let in" in failed["error"], failed
    assert plan.of("planned", step="postgres/datastore/ca", verdict="change"), plan
    row.survived += 1


def _now() -> datetime:
    return datetime.now(UTC)


def _subject() -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, USER)])


def _signed(
    key: ec.EllipticCurvePrivateKey, issuer: x509.Name, signer: ec.EllipticCurvePrivateKey
) -> str:
    """A client's certificate with the right names, by whoever signs it."""
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_subject())
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - DAY)
        .not_valid_after(_now() + DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(client, critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> Secret:
    pkcs8 = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    return Secret(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain).decode())
