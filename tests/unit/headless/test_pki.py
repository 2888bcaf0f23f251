"""`pki import`: every check by its name, everything or nothing, and keys that are encrypted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from k3s_tui.core.secret import Secret
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure import own_pki
from k3s_tui.profile.load import load
from tests.unit.headless.operator import CLI, HOW_TO, on_terminal, run

NOW = datetime.now(UTC)
CA = Authority.create("site CA", 3650, NOW)
PASSPHRASE = "open, leaf"
KEY = "server-k3s-server-1.key"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The operator's: a profile with a CA of its own, and pairs of which one is encrypted."""
    text = HOW_TO.read_text().replace('[pki]\nmode = "managed"', '[pki]\nmode = "bring-your-own"')
    kept = [line for line in text.splitlines() if not line.startswith(("leaf-days", "ca-days"))]
    text = "\n".join(kept).replace('"bring-your-own"', '"bring-your-own"\nca = "ca.pem"')
    (tmp_path / "how-to.toml").write_text(text + "\n")
    (tmp_path / "ca.pem").write_text(CA.certificate_pem)
    signed = tmp_path / "signed"
    signed.mkdir()
    for name, leaf in own_pki.expected(load(tmp_path / "how-to.toml")).items():
        pair = CA.issue_short_lived(leaf, NOW, minutes=400 * 24 * 60)
        (signed / f"{name}.crt").write_text(pair.certificate_pem)
        private(signed / f"{name}.key", pair.key.reveal())
    private(signed / KEY, encrypted(Secret((signed / KEY).read_text())))
    return tmp_path


def private(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


def encrypted(key: Secret) -> str:
    found = serialization.load_pem_private_key(key.reveal().encode(), None)
    best = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return found.private_bytes(encoding, form, best).decode()


WORDS = ("pki", "import", "how-to.toml", "signed")


def test_nobody_is_there_to_ask(folder: Path) -> None:
    done = run(*WORDS, state=folder)
    assert done.status == 4, done
    assert f"Passphrase of signed/{KEY}" in done.err and "--key-passphrase-file" in done.err
    assert not (folder / "how-to.pki").exists()


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_has_the_passphrase(folder: Path, mode: int) -> None:
    private(folder / "passphrase", PASSPHRASE + "\n")
    (folder / "passphrase").chmod(mode)
    done = run(*WORDS, "--key-passphrase-file=passphrase", state=folder)
    if mode != 0o600:
        assert done.status == 4 and "others can read passphrase" in done.err, done
        return
    assert done.status == 0, done
    assert "FAIL" not in done.out and "  ok    key-mismatch " in done.out
    kept = folder / "how-to.pki" / KEY
    assert kept.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert run("check", "how-to.toml", state=folder).status == 0


def test_it_is_asked_on_a_terminal(folder: Path) -> None:
    with on_terminal(*CLI, *WORDS, state=folder) as terminal:
        terminal.until(f"Passphrase of signed/{KEY}: ")
        terminal.type("not this one\n")
        assert terminal.end() == 4
        assert "key-unreadable" in terminal.seen and "not this one" not in terminal.seen
    with on_terminal(*CLI, *WORDS, state=folder) as terminal:
        terminal.until(f"Passphrase of signed/{KEY}: ")
        terminal.type(f"{PASSPHRASE}\n")
        assert terminal.end() == 0
    assert (folder / "how-to.pki" / KEY).exists()


def test_what_fails_is_told_by_name_and_nothing_is_taken(folder: Path) -> None:
    private(folder / "passphrase", PASSPHRASE + "\n")
    other = (folder / "signed" / "datastore.crt").read_text()
    (folder / "signed" / "server-k3s-server-2.crt").write_text(other)
    done = run(*WORDS, "--key-passphrase-file=passphrase", state=folder)
    assert done.status == 4, done
    for code in ("common-name", "usage", "key-mismatch", "used-twice"):
        assert f"FAIL  {code}" in done.out, done
    assert "nothing was taken" in done.err
    assert not (folder / "how-to.pki").exists()


def test_a_renewed_certificate_alone_keeps_its_key(folder: Path) -> None:
    private(folder / "passphrase", PASSPHRASE + "\n")
    assert run(*WORDS, "--key-passphrase-file=passphrase", state=folder).status == 0
    kept = {at: at.read_text() for at in (folder / "how-to.pki").glob("*.key")}
    for file in (folder / "signed").glob("*.key"):
        file.unlink()
    done = run(*WORDS, state=folder)
    assert done.status == 0 and "was removed" not in done.err, done
    assert done.out.count("  ok    key-mismatch ") == len(kept), done
    assert {at: at.read_text() for at in kept} == kept


def test_a_key_that_goes_is_told(folder: Path) -> None:
    private(folder / "passphrase", PASSPHRASE + "\n")
    assert run(*WORDS, "--key-passphrase-file=passphrase", state=folder).status == 0
    leaf = own_pki.expected(load(folder / "how-to.toml"))["datastore"]
    pair = CA.issue_short_lived(leaf, NOW, minutes=400 * 24 * 60)
    (folder / "signed" / "datastore.crt").write_text(pair.certificate_pem)
    for file in (folder / "signed").glob("*.key"):
        file.unlink()
    done = run(*WORDS, state=folder)
    assert done.status == 0, done
    assert done.err.count("was removed") == 1 and "datastore: the key that was" in done.err, done
    assert "pki csr" in done.err
    names = {at.name for at in (folder / "how-to.pki").glob("*.key")}
    assert names == {KEY, "server-k3s-server-2.key"}
