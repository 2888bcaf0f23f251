"""The operator's own files: each that cannot be used is told under the code of its check."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from k3s_tui.core.errors import CredentialsError
from k3s_tui.core.secret import Secret
from k3s_tui.pki.authority import Authority, KeyPair
from k3s_tui.pki.checks import Code, Result
from k3s_tui.procedure import leaves, own_pki
from k3s_tui.procedure.own_files import Unfit
from k3s_tui.profile.model import Profile
from k3s_tui.profile.reference import SecretRef
from tests.unit.procedure.sites import changed, site

NOW = datetime.now(UTC)
CA = Authority.create("site CA", 3650, NOW)
SERVERS = ("k3s-server-1", "k3s-server-2")
PASSPHRASE = "open, leaf"


def own(**pki: object) -> Profile:
    return changed(pki={"mode": "bring-your-own", "ca": "ca.pem", **pki})


def pairs() -> dict[str, KeyPair]:
    """One of each, as somebody else's CA signs them."""
    return {
        name: CA.issue_short_lived(leaf, NOW, minutes=400 * 24 * 60)
        for name, leaf in own_pki.expected(own()).items()
    }


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def encrypted(key: Secret) -> str:
    private = serialization.load_pem_private_key(key.reveal().encode(), None)
    best = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return private.private_bytes(encoding, form, best).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    put(tmp_path / "ca.pem", CA.certificate_pem)
    return tmp_path / "cluster.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What came back: a pair of each, PostgreSQL's without its key."""
    for name, pair in pairs().items():
        put(tmp_path / "signed" / f"{name}.crt", f"Certificate:\n    Data\n{pair.certificate_pem}")
        if name != own_pki.DATASTORE:
            put(tmp_path / "signed" / f"{name}.key", pair.key.reveal())
    return tmp_path / "signed"


def refusal(do: Callable[[], object]) -> CredentialsError:
    with pytest.raises(CredentialsError) as caught:
        do()
    return caught.value


def test_pairs_from_elsewhere_are_kept_beside_the_profile(path: Path, folder: Path) -> None:
    came = own_pki.read_leaves(own(), folder)
    own_pki.take(path, came)
    kept = path.parent / "cluster.pki"
    assert sorted(file.name for file in kept.iterdir()) == sorted(
        ["datastore.crt", *(f"server-{n}.{end}" for n in SERVERS for end in ("crt", "key"))]
    )
    assert {file.stat().st_mode & 0o777 for file in kept.glob("*.key")} == {0o600}
    found = own_pki.read(own(), path)
    assert dict(found.leaves) == came and not found.authority.signs
    assert found.leaves["datastore"].key is None
    assert "Certificate:" not in found.leaves["datastore"].certificate_pem


def test_a_pair_whose_key_is_another_s(path: Path, folder: Path) -> None:
    one, two = (folder / f"server-{name}.key" for name in SERVERS)
    put(one, two.read_text())
    own_pki.take(path, own_pki.read_leaves(own(), folder))
    told = refusal(lambda: own_pki.read(own(), path)).text
    assert "server-k3s-server-1: key-mismatch: " in told and "server-2: " not in told


def test_everything_that_is_wrong_is_told_at_once(path: Path, folder: Path) -> None:
    put(folder / "server-k3s-server-2.crt", (folder / "datastore.crt").read_text())
    (folder / "server-k3s-server-2.key").unlink()
    own_pki.take(path, own_pki.read_leaves(own(), folder))
    put(path.parent / "ca.pem", Authority.create("another", 9, NOW).certificate_pem)
    told = refusal(lambda: own_pki.read(own(), path)).text
    for words in ("datastore: chain: ", "server-k3s-server-1: chain: ",
                  "server-k3s-server-2: usage: ", "server-k3s-server-2: used-twice: "):  # fmt: skip
        assert words in told


def test_a_certificate_alone_renews_a_pair(path: Path, folder: Path) -> None:
    """The key that was imported with the first one may be the only copy there is."""
    pair = own_pki.read_leaves(own(), folder)
    assert own_pki.take(path, pair) == ()
    for file in folder.glob("*.key"):
        file.unlink()
    came = own_pki.read_leaves(own(), folder)
    assert all(leaf.key is None for leaf in came.values())
    assert own_pki.with_kept_keys(path, came) == pair
    assert own_pki.take(path, own_pki.with_kept_keys(path, came)) == ()
    assert dict(own_pki.read(own(), path).leaves) == pair


def test_a_key_of_another_certificate_goes_and_is_told(path: Path, folder: Path) -> None:
    own_pki.take(path, own_pki.read_leaves(own(), folder))
    one, two = (f"server-{name}" for name in SERVERS)
    for name, pair in pairs().items():  # of other keys
        put(folder / f"{name}.crt", pair.certificate_pem)
    for file in folder.glob("*.key"):
        file.unlink()
    kept = path.parent / "cluster.pki"
    put(kept / f"{two}.key", "nonsense")
    came = own_pki.with_kept_keys(path, own_pki.read_leaves(own(), folder))
    assert all(leaf.key is None for leaf in came.values())
    assert own_pki.take(path, came) == (one, two)
    assert not list(kept.glob("*.key"))
    assert own_pki.take(path, came) == ()


def test_a_kept_key_that_others_can_read_is_left(path: Path, folder: Path) -> None:
    own_pki.take(path, own_pki.read_leaves(own(), folder))
    (folder / LEAF_KEY).unlink()
    kept = path.parent / "cluster.pki" / LEAF_KEY
    kept.chmod(0o640)
    came = own_pki.read_leaves(own(), folder)
    told = refusal(lambda: own_pki.with_kept_keys(path, came)).text
    assert "key-exposed" in told and kept.exists()


@pytest.mark.parametrize(("os_id", "told"), [
    ("debian", "as root: apt-get install openssl"),
    ("opensuse-leap", "as root: zypper install openssl"),
    ("plan9", "install openssl there"),
])  # fmt: skip
def test_how_openssl_comes_to_a_host(os_id: str, told: str) -> None:
    where = site(own(), facts={SERVERS[0]: {"os_id": os_id}})
    assert told in leaves.by_hand(where, SERVERS[0])


LEAF_KEY = "server-k3s-server-1.key"
FILES: list[tuple[str, str, int, str]] = [
    # file, content, mode, what is told
    ("server-k3s-server-1.crt", "nonsense", 0o644, "server-k3s-server-1: unreadable: it holds no"),
    ("server-k3s-server-1.crt", "\udce9", 0o644, "server-k3s-server-1: unreadable: "),
    (LEAF_KEY, "", 0o600, "server-k3s-server-1: key-unreadable: "),
    (LEAF_KEY, CA.key.reveal(), 0o640, "server-k3s-server-1: key-exposed: others can read "),
    (LEAF_KEY, encrypted(CA.key), 0o600, "server-k3s-server-1: key-passphrase: "),
]


@pytest.mark.parametrize(("file", "content", "mode", "told"), FILES)
def test_a_leaf_s_file_that_is_no_use(
    path: Path, folder: Path, file: str, content: str, mode: int, told: str
) -> None:
    (folder / file).write_bytes(content.encode(errors="surrogateescape"))
    (folder / file).chmod(mode)
    error = refusal(lambda: own_pki.read_leaves(own(), folder))
    assert error.text.startswith(told) and isinstance(error, Unfit)


def test_an_encrypted_key_of_a_leaf(path: Path, folder: Path) -> None:
    plain = own_pki.read_leaves(own(), folder)
    file = folder / LEAF_KEY
    put(file, encrypted(Secret(file.read_text())))
    error = refusal(lambda: own_pki.read_leaves(own(), folder))
    assert "k3s-tui pki import asks for it" in error.hint and "openssl pkey -in" in error.hint
    assert "pki.ca-key" not in error.text + error.hint
    assert own_pki.encrypted_keys(own(), folder) == {"server-k3s-server-1": file}
    given = {"server-k3s-server-1": Secret(PASSPHRASE)}
    assert own_pki.read_leaves(own(), folder, given) == plain  # as the host can use it
    wrong = {"server-k3s-server-1": Secret("something else")}
    error = refusal(lambda: own_pki.read_leaves(own(), folder, wrong))
    assert "key-unreadable: " in error.text and "this passphrase opens" in error.text


PROMPT = SecretRef.parse("prompt:")
STRANGER = Authority.create("stranger", 9, NOW).key
Key = tuple[str, int, SecretRef | None, Code, Result]
CA_KEYS: list[Key] = [
    (CA.key.reveal(), 0o600, None, "ca-key-mismatch", "ok"),
    (STRANGER.reveal(), 0o600, None, "ca-key-mismatch", "failed"),
    ("nonsense", 0o600, None, "ca-key-unreadable", "failed"),
    ("nonsense", 0o600, PROMPT, "ca-key-unreadable", "failed"),
    (CA.key.reveal(), 0o604, None, "key-exposed", "failed"),
    (CA.key.reveal(), 0o604, PROMPT, "key-exposed", "failed"),
    (encrypted(CA.key), 0o600, None, "key-passphrase", "failed"),
    (CA.key.reveal(), 0o600, PROMPT, "key-passphrase", "failed"),
    (encrypted(CA.key), 0o600, PROMPT, "key-passphrase", "warning"),
]


@pytest.mark.parametrize(("content", "mode", "reference", "code", "result"), CA_KEYS)
def test_the_ca_s_key_before_anybody_is_asked(
    path: Path, content: str, mode: int, reference: SecretRef | None, code: Code, result: Result
) -> None:
    """In a review, and by `check`: what fails there has the same name in both."""
    put(path.parent / "ca.key", content, mode)
    profile = own(ca_key="ca.key", ca_key_passphrase=reference)
    (check,) = own_pki.judged_authority_key(profile, path, CA.certificate_pem)
    assert (check.code, check.result) == (code, result)
    if result == "failed":
        error = refusal(lambda: own_pki.offline(profile, path))
        assert error.text.startswith(f"pki.ca-key: {code}: ")
    else:
        own_pki.offline(profile, path)


def test_the_ca_s_key_with_its_passphrase(path: Path) -> None:
    put(path.parent / "ca.key", encrypted(CA.key))
    profile = own(ca_key="ca.key", ca_key_passphrase=PROMPT)
    found = own_pki.read(profile, path, Secret(PASSPHRASE))
    assert found.authority.signs and found.authority.key == CA.key
    error = refusal(lambda: own_pki.read(profile, path, Secret("something else")))
    assert error.text.startswith("pki.ca-key: ca-key-unreadable: ")


@pytest.mark.parametrize("content", ["nonsense", None])
def test_a_bundle_that_cannot_be_read(path: Path, content: str | None) -> None:
    bundle = path.parent / "ca.pem"
    bundle.unlink() if content is None else bundle.write_text(content)
    error = refusal(lambda: own_pki.read(own(), path))
    assert error.text.startswith("pki.ca: ca-unreadable: ") and error.hint


def test_of_a_renewed_ca_the_new_certificate_signs(path: Path, tmp_path: Path) -> None:
    """Its old one, with the same key, may still be in the bundle."""
    key = put(tmp_path / "ca.key", CA.key.reveal())
    ended = ["-not_before", "20200101000000Z", "-not_after", "20210101000000Z"]
    config = put(
        tmp_path / "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase=index\nserial=serial\npolicy=p\n"
        "default_md=sha256\nx509_extensions=e\n[p]\ncommonName=supplied\n"
        "[e]\nbasicConstraints=critical,CA:TRUE\n[req]\ndistinguished_name=n\n[n]\n",
    )
    put(tmp_path / "index", "")
    put(tmp_path / "serial", "01\n")
    for words in (
        ["req", "-new", "-key", str(key), "-subj", "/CN=site CA", "-out", "ca.csr"],
        ["ca", "-batch", "-notext", "-selfsign", "-keyfile", str(key), "-in", "ca.csr",
         "-startdate", ended[1], "-enddate", ended[3], "-out", "old.pem"],
    ):  # fmt: skip
        command = ["openssl", words[0], "-config", str(config), *words[1:]]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    bundle = (tmp_path / "old.pem").read_text() + CA.certificate_pem
    put(tmp_path / "ca.pem", bundle)
    found = own_pki.read(own(ca_key="ca.key"), path)
    assert found.authority.certificate_pem == CA.certificate_pem
    assert found.authority.ca_pem == bundle
