"""Certificates of somebody else's CA: signed elsewhere, and then under its key."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import tomlkit

from .lab import Lab
from .operators import changes, snapshot
from .product import Product

SERVERS = ("k3s-server-1", "k3s-server-2")
PASSPHRASE = "open, root"


class SiteCa:
    """A root and an intermediate CA, by openssl: RSA, as such are."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "ca.ext").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
        for name in ("root", "sub"):
            self._openssl("genrsa", "-out", f"{name}.key", "2048")
            self._openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN=site {name}",
                          "-out", f"{name}.csr")  # fmt: skip
        self._certify("root.csr", "root.crt", "-signkey", "root.key", "-extfile", "ca.ext")
        self._certify("sub.csr", "sub.crt", "-CA", "root.crt", "-CAkey", "root.key",
                      "-CAcreateserial", "-extfile", "ca.ext")  # fmt: skip
        self._openssl("pkcs8", "-topk8", "-in", "sub.key", "-out", "sub.enc",
                      "-passout", f"pass:{PASSPHRASE}")  # fmt: skip

    @property
    def bundle(self) -> str:
        return (self.folder / "sub.crt").read_text() + (self.folder / "root.crt").read_text()

    def sign(self, request: Path, *, usage: str, names: str = "", subject: str = "") -> None:
        """NAME.crt beside NAME.csr, with openssl's text around it."""
        target = request.with_suffix(".crt")
        extensions = f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage={usage}\n"
        extensions += f"subjectAltName={names}\n" if names else ""
        (self.folder / "leaf.ext").write_text(extensions)
        other = ["-subj", subject] if subject else []
        self._certify(str(request), str(target), "-CA", "sub.crt", "-CAkey", "sub.key",
                      "-CAcreateserial", "-extfile", "leaf.ext", *other)  # fmt: skip
        target.write_text("Certificate:\n    Data: …\n" + target.read_text())

    def _certify(self, request: str, target: str, *words: str) -> None:
        self._openssl("x509", "-req", "-in", request, "-out", target, "-days", "90", *words)

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> SiteCa:
    return SiteCa(tmp_path_factory.mktemp("site") / "ca")


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, ca: SiteCa, tmp_path_factory: pytest.TempPathFactory) -> Product:
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"))
    (product.folder / "site-ca.pem").write_text(ca.bundle)
    pki(product, ca="site-ca.pem")
    assert product.init().status == 0
    return product


def pki(product: Product, **settings: object) -> None:
    document = tomlkit.parse(product.profile.read_text())
    document["pki"] = {"mode": "bring-your-own", **settings}
    product.profile.write_text(tomlkit.dumps(document))


def test_nothing_is_touched_before_they_came(product: Product) -> None:
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == 5, done
    assert "there is no certificate for CN=k3s yet" in done.out
    assert "k3s-tui pki csr" in done.out + done.err
    assert not changes(before, snapshot(product.lab))


def test_a_host_without_openssl_is_told_with_the_command_that_helps(product: Product) -> None:
    """A run would install it, and that waits for the certificates."""
    server = product.lab.host(SERVERS[1])
    server.sh("mv /usr/bin/openssl /usr/bin/openssl.away")
    done = product.run("pki", "csr", product.profile, product.folder / "requests")
    server.sh("mv /usr/bin/openssl.away /usr/bin/openssl")
    assert done.status == 1, done
    assert (
        f"{SERVERS[1]}: no signing request was made: there is no openssl on this host" in done.err
    )
    assert "try: install it there, as root: apt-get install openssl" in done.err, done
    assert not (product.folder / "requests").exists()


def test_requests_are_collected(product: Product) -> None:
    requests = product.folder / "requests"
    for _ in range(2):  # the same keys again
        done = product.run("pki", "csr", product.profile, requests)
        assert done.status == 0, done
        names = sorted(path.name for path in requests.iterdir())
        assert names == ["datastore.csr", *(f"server-{name}.csr" for name in SERVERS)]
        keys = {name: (requests / name).read_text() for name in names}
        for request in requests.iterdir():
            said = subprocess.run(
                ["openssl", "req", "-in", request, "-noout", "-verify", "-subject", "-text"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            name = "postgres.rancher.rke2" if request.stem == "datastore" else "k3s"
            assert f"CN = {name}" in said.stdout
    again = {name: (requests / name).read_text() for name in keys}
    assert [_public(requests / name) for name in again] == [_public(requests / n) for n in keys]
    for server in SERVERS:
        held = product.lab.host(server).sh("stat -c '%a %U' /etc/k3s-tui/datastore/requested/*")
        assert held.split() == ["600", "root"]


def _public(request: Path) -> str:
    words = ["openssl", "req", "-in", str(request), "-noout", "-pubkey"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_what_does_not_fit_is_not_taken(product: Product, ca: SiteCa) -> None:
    requests = product.folder / "requests"
    for name in SERVERS:
        ca.sign(requests / f"server-{name}.csr", usage="clientAuth")
    ca.sign(requests / "datastore.csr", usage="clientAuth", names="DNS:elsewhere.example.org")
    shutil.copy(requests / "server-k3s-server-1.crt", requests / "server-k3s-server-2.crt")
    done = product.run("pki", "import", product.profile, requests)
    assert done.status == 4, done
    for code in ("names", "usage", "key-mismatch", "used-twice"):
        assert f"FAIL  {code}" in done.out, done
    assert "nothing was taken" in done.err
    assert not (product.folder / f"{product.profile.stem}.pki").exists()


def test_a_cluster_with_them(product: Product, ca: SiteCa) -> None:
    requests = product.folder / "requests"
    names = "DNS:postgres.rancher.rke2,IP:10.161.129.212"
    ca.sign(requests / "datastore.csr", usage="serverAuth", names=names)
    ca.sign(requests / "server-k3s-server-2.csr", usage="clientAuth")
    done = product.run("pki", "import", product.profile, requests)
    assert done.status == 0, done
    assert "FAIL" not in done.out and "warn  no-authority-key" not in done.out
    assert product.run("check", product.profile).status == 0
    done = product.apply()
    assert done.status == 0, done
    assert {f"{name}/servers/datastore-login" for name in SERVERS} <= done.steps("ok")
    again = product.apply()
    assert again.status == 0, again
    assert not again.steps("changed"), again
    issuer = product.lab.host("postgres").sh(
        "openssl x509 -in /etc/k3s-tui/postgresql/current/tls.crt -noout -issuer"
    )
    assert "site sub" in issuer


def test_what_cannot_be_proved_is_said(product: Product) -> None:
    done = product.run("verify", product.profile, "--json")
    assert done.status == 0, done
    for server in SERVERS:
        for kind in ("no-certificate", "other-ca", "plain-tcp", "wrong-password"):
            (event,) = done.of("step-done", step=f"{server}/verification/refuses-{kind}")
            assert event["outcome"] == "ok" and not event["warning"], event
        (event,) = done.of("step-done", step=f"{server}/verification/refuses-wrong-cn")
        assert "only your CA could sign one" in event["warning"]
        (event,) = done.of("step-done", step=f"{server}/verification/datastore-login")
        assert event["outcome"] == "ok" and not event["warning"], event


def test_a_login_by_a_wrong_key_of_its_own_is_told(product: Product) -> None:
    """The proof that ran on the server can fail."""
    server = product.lab.host(SERVERS[0])
    server.sh(
        "cd /etc/k3s-tui/datastore/current && cp -p tls.key /root/right &&"
        " openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out tls.key 2>/dev/null"
    )
    done = product.run("verify", product.profile, "--json")
    server.sh("cat /root/right >/etc/k3s-tui/datastore/current/tls.key")
    assert done.status == 6, done
    assert done.steps("failed") >= {f"{SERVERS[0]}/verification/datastore-login"}


def test_its_key_signs_here(product: Product, ca: SiteCa) -> None:
    """What was signed elsewhere stays; proofs have short-lived certificates again."""
    key = product.folder / "site-ca.key"
    key.touch(0o600)
    key.write_text((ca.folder / "sub.enc").read_text())
    passphrase = product.folder / "ca-passphrase"
    passphrase.touch(0o600)
    passphrase.write_text("not this one\n")
    settings = {"ca": "site-ca.pem", "ca-key": "site-ca.key", "leaf-days": 90}
    pki(product, **settings, **{"ca-key-passphrase": "file:ca-passphrase"})
    done = product.apply()
    assert done.status == 4 and "key-unreadable" in done.err, done
    passphrase.write_text(f"{PASSPHRASE}\n")
    done = product.apply()
    assert done.status == 0, done
    done = product.run("verify", product.profile, "--json")
    assert done.status == 0, done
    assert not [event for event in done.of("step-done") if event.get("warning")]
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again


def test_another_ca_is_refused_and_one_more_is_taken(
    product: Product, ca: SiteCa, tmp_path: Path
) -> None:
    """Servers that run know the first one only; with both, it goes on signing."""
    other = SiteCa(tmp_path / "other")
    (product.folder / "other.pem").write_text(other.bundle)
    key = product.folder / "other.key"
    key.touch(0o600)
    key.write_text((other.folder / "sub.enc").read_text())
    passphrase = {"ca-key-passphrase": "file:ca-passphrase"}
    pki(product, ca="other.pem", **{"ca-key": "other.key"}, **passphrase)
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == 5, done
    told = {event["step"] for event in done.of("planned", verdict="problem")}
    assert {f"{name}/preflight/datastore-ca" for name in SERVERS} <= told, done
    assert not [at for at in changes(before, snapshot(product.lab)) if ":/etc/" in at]
    (product.folder / "both.pem").write_text(ca.bundle + other.bundle)
    pki(product, ca="both.pem", **{"ca-key": "site-ca.key"}, **passphrase)
    done = product.apply()
    assert done.status == 0, done
    again = product.apply()
    assert again.status == 0 and not again.steps("changed"), again
