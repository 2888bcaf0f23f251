from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from k3s_tui.core.errors import CredentialsError
from k3s_tui.hosts.keyfiles import existing, read_key_file


def keygen(path: Path, *options: str, passphrase: str = "") -> bytes:
    """Makes a key pair, removes the public file and gives its blob."""
    argv = ["ssh-keygen", "-q", "-N", passphrase, "-f", str(path), *options]
    subprocess.run(argv, check=True)
    public = path.with_name(f"{path.name}.pub")
    blob = base64.b64decode(public.read_text().split()[1])
    public.unlink()
    return blob


@pytest.mark.parametrize("kind", ["-t ed25519", "-t ecdsa", "-t rsa -b 2048"])
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_openssh_keys_show_their_public_half(tmp_path: Path, kind: str, passphrase: str) -> None:
    blob = keygen(tmp_path / "key", *kind.split(), passphrase=passphrase)
    file = read_key_file(tmp_path / "key")
    assert (file.public, file.private, file.encrypted) == (blob, True, bool(passphrase))


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_pem_key_has_its_public_half_beside_it(tmp_path: Path, passphrase: str) -> None:
    path = tmp_path / "key"
    blob = keygen(path, "-t", "rsa", "-b", "2048", "-m", "PEM", passphrase=passphrase)
    assert read_key_file(path).public is None
    assert read_key_file(path).encrypted == bool(passphrase)
    path.with_name("key.pub").write_text(f"ssh-rsa {base64.b64encode(blob).decode()} me@here")
    assert read_key_file(path).public == blob
    public = read_key_file(path.with_name("key.pub"))
    assert (public.public, public.private) == (blob, False)


@pytest.mark.parametrize("text", ["", "hello", "hello world", "-----BEGIN CERTIFICATE-----\n"])
def test_what_is_no_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(CredentialsError):
        read_key_file(path)
    assert existing(["key", "missing"], tmp_path) == []


def test_a_mutilated_key_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----")
    assert read_key_file(path).public is None
