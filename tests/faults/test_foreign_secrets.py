"""P8 where secrets come from elsewhere: a database that others run, and a site's own CA."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from k3s_tui.core.secret import Redactor
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure import report
from tests.faults.canaries import Canary, Nest, strange, word
from tests.faults.execs import Started
from tests.faults.haunted import (
    SECRETS_FILE,
    clean,
    files_of,
    files_of_laptop,
    hosts_watched,
    record,
)
from tests.faults.tally import Row, Tally
from tests.lab import handmade
from tests.lab.lab import Lab
from tests.lab.product import Done, Product
from tests.lab.test_existing_datastore import elsewhere
from tests.lab.test_own_pki import pki
from tests.lab.topology import HOSTS
from tests.lab.wizard import to_review, wizard

PASSWORD, CLIENT_KEY = "datastore.password", "datastore.client-key"
CA_KEY, CA_PASSPHRASE = "pki.ca-key", "pki.ca-key-passphrase"

SERVER = {
    SECRETS_FILE: {PASSWORD},
    "/etc/k3s-tui/datastore/client.key": {CLIENT_KEY},
    # The stand-in's own, for its libpq; K3s reads the file above itself.
    "/run/k3s-standin/sslkey": {CLIENT_KEY},
}


@dataclass(frozen=True)
class Site:
    """What an operator was given, and where it may lie afterwards."""

    secrets: Mapping[str, bytes]
    """What each is recognized by."""
    laptop: Mapping[str, set[str]]
    """Files of the operator's own."""
    hosts: Mapping[str, Mapping[str, set[str]]]
    wrong: str
    """The file that holds something else at first."""
    refused: int
    """How it ends then."""


def others_database(product: Product) -> Site:
    lab = product.lab
    handmade.make_datastore(lab)
    elsewhere(product)
    secret = word()
    value = f"p'q\"%/{secret}$x\\&@:?#"
    quoted = value.replace("'", "''")
    lab.host("postgres").sh(
        f"runuser -u postgres -- psql -q <<'EOF'\nalter role k3s password '{quoted}';\nEOF\n"
    )
    (product.folder / "database-password").write_text(value + "\n")
    key = serialization.load_pem_private_key((product.folder / "client.key").read_bytes(), None)
    return Site(
        {PASSWORD: secret.encode(), CLIENT_KEY: number(key)},
        {"database-password": {PASSWORD}, "client.key": {CLIENT_KEY}},
        {
            "k3s-server-1": SERVER,
            "k3s-server-2": SERVER,
            "postgres": {"/root/pki/client.key": {CLIENT_KEY}},
        },
        "database-password",
        5,
    )


def own_authority(product: Product) -> Site:
    authority = Authority.create("site", 400, datetime.datetime.now(datetime.UTC))
    key = serialization.load_pem_private_key(authority.key.reveal().encode(), None)
    passphrase = word()
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(f"p'%$ {passphrase}\"".encode()),
    )
    private(product, "site-ca.key", sealed.decode())
    private(product, "ca-passphrase", f"p'%$ {passphrase}\"\n")
    (product.folder / "site-ca.pem").write_text(authority.certificate_pem)
    files = {"ca": "site-ca.pem", "ca-key": "site-ca.key"}
    pki(product, **files, **{"ca-key-passphrase": "file:ca-passphrase", "leaf-days": 90})
    return Site(
        {CA_KEY: number(key), CA_PASSPHRASE: passphrase.encode()},
        {"ca-passphrase": {CA_PASSPHRASE}},
        {},
        "ca-passphrase",
        4,
    )


def private(product: Product, name: str, text: str) -> None:
    path = product.folder / name
    path.touch(0o600)
    path.write_text(text)


def number(key: object) -> bytes:
    """What makes a private key one: nothing of it is in the certificate."""
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


SITES: dict[str, Callable[[Product], Site]] = {
    "a database that others run": others_database,
    "a CA of the site's own": own_authority,
}


@dataclass(frozen=True)
class Hunted:
    """What was done there, and where it left something."""

    product: Product
    site: Site
    nest: Nest
    runs: Mapping[str, Done]
    drawn: bytes
    """All that the wizard has sent to its terminal."""
    started: Started
    row: Row


@pytest.fixture(scope="module", params=SITES)
def hunted(
    request: pytest.FixtureRequest,
    lab: Lab,
    tally: Tally,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hunted]:
    """From bare hosts: refused once, finished, verified, and looked at in the wizard."""
    lab.fresh()
    product = Product(lab, tmp_path_factory.mktemp("hunted") / "operator")
    site = SITES[request.param](product)
    assert product.init().status == 0
    row = tally("P8", f"a canary for each secret of {request.param}")
    nest = Nest([Canary.of(name, core) for name, core in site.secrets.items()])
    runs = {}
    with hosts_watched(lab, product.folder) as started:
        right = (product.folder / site.wrong).read_text()
        (product.folder / site.wrong).write_text(f"not this {secrets.token_hex(4)}\n")
        runs["refused"] = product.apply()
        (product.folder / site.wrong).write_text(right)
        runs["apply"] = product.run("apply", product.profile, "--yes", "-v")
        runs["verify"] = product.run("verify", product.profile)
        drawn = looked_at(product)
        row.injected = len(site.secrets)
        yield Hunted(product, site, nest, runs, drawn, started, row)


def looked_at(product: Product) -> bytes:
    """Every step of the wizard, and what would change in a file that is wholly secret."""
    product.lab.host("k3s-server-1").sh(f"echo '# drift' >>{SECRETS_FILE}")
    captured = product.folder.parent / "screens"
    with wizard(product, product.profile.name) as tty:
        record(tty, captured)
        to_review(tty)
        tty.press("Enter")
        tty.until("Passphrase of")
        tty.type(product.passphrase.read_text().strip())
        tty.press("Enter")
        tty.until("to change", within=120)
        tty.press("C-q")
        assert tty.exit_status() == 0
    return captured.read_bytes()


def test_the_runs_ended_as_they_should(hunted: Hunted) -> None:
    statuses = {name: done.status for name, done in hunted.runs.items()}
    assert statuses == {"refused": hunted.site.refused, "apply": 0, "verify": 0}


def test_no_secret_is_printed_or_shown(hunted: Hunted) -> None:
    for done in hunted.runs.values():
        clean(hunted.row, hunted.nest.within(done.out + done.err))
    assert b"Passphrase of" in hunted.drawn
    clean(hunted.row, hunted.nest.within(hunted.drawn))


def test_no_secret_is_in_another_file_of_the_laptop(hunted: Hunted) -> None:
    folder = hunted.product.folder
    events = max(hunted.product.recordings(), key=lambda path: path.stat().st_mtime)
    packed = report.save(events, hunted.product.profile, Redactor())
    clean(hunted.row, hunted.nest.in_archive(packed.read_bytes()))
    found = files_of_laptop(folder, hunted.nest)
    clean(hunted.row, strange(found, hunted.site.laptop))
    assert found.keys() == hunted.site.laptop.keys()


def test_no_program_on_a_host_was_given_a_secret(hunted: Hunted) -> None:
    commands = hunted.started.commands
    for expected in ("sudo", "/bin/sh -s", "k3s server", "nginx"):
        assert any(expected in command for command in commands), f"no {expected} was seen"
    clean(hunted.row, hunted.nest.within(hunted.started.content))


@pytest.mark.parametrize("name", [host.name for host in HOSTS])
def test_secrets_are_only_in_files_that_are_made_for_them(hunted: Hunted, name: str) -> None:
    host = hunted.product.lab.containers[name]
    found = files_of(host, hunted.nest)
    allowed = hunted.site.hosts.get(name, {})
    clean(hunted.row, strange(found, allowed))
    assert found.keys() == allowed.keys()
    clean(hunted.row, hunted.nest.within(host.sh("journalctl --no-pager -o export")))
    hunted.row.survived = hunted.row.injected
