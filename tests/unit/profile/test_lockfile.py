from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from k3s_tui.core.errors import CredentialsError, Exit, Refused
from k3s_tui.profile.lockfile import (
    ChecksumDiffers,
    HostKeyDiffers,
    LockFile,
    LockFileInvalid,
    load,
    pin_host_keys,
    record_checksums,
)
from k3s_tui.profile.neighbours import lock_file, secrets_file

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqWsYLFXnpVbCJu/test+ke"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOTHERFXnpVbCJuA"
VERSION, URL = "v1.36.3+k3s1", "https://get.k3s.io"
SUM, OTHER_SUM = "a" * 64, "b" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "how-to.lock.toml"


def test_names() -> None:
    assert lock_file(Path("a/how-to.toml")) == Path("a/how-to.lock.toml")
    assert lock_file(Path("a/v1.2.toml")) == Path("a/v1.2.lock.toml")
    assert secrets_file(Path("a/how-to.toml")) == Path("a/how-to.secrets")


def test_what_is_recorded_is_read_again(path: Path) -> None:
    assert load(path) == LockFile()
    pin_host_keys(path, {"postgres": KEY + " root@postgres"})
    written = record_checksums(path, VERSION, URL, {"install.sh": SUM, "k3s-amd64": OTHER_SUM})
    assert load(path) == written
    assert written.host_keys == {"postgres": KEY}
    assert written.checksums(VERSION, URL) == {"install.sh": SUM, "k3s-amd64": OTHER_SUM}
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_recording_the_same_again_does_not_write(path: Path) -> None:
    pin_host_keys(path, {"a": KEY})
    before = path.stat().st_ino
    pin_host_keys(path, {"a": KEY})
    assert path.stat().st_ino == before


def test_a_pinned_host_key_is_never_replaced(path: Path) -> None:
    pin_host_keys(path, {"a": KEY})
    text = path.read_bytes()
    with pytest.raises(HostKeyDiffers) as caught:
        pin_host_keys(path, {"b": KEY, "a": OTHER})
    assert isinstance(caught.value, CredentialsError) and caught.value.host == "a"
    assert path.read_bytes() == text


def test_a_recorded_checksum_is_never_replaced(path: Path) -> None:
    record_checksums(path, VERSION, URL, {"install.sh": SUM})
    text = path.read_bytes()
    with pytest.raises(ChecksumDiffers, match=r"install\.sh") as caught:
        record_checksums(path, VERSION, URL, {"k3s-arm64": SUM, "install.sh": OTHER_SUM})
    assert isinstance(caught.value, Refused)
    assert path.read_bytes() == text


def test_checksums_are_bound_to_version_and_script(path: Path) -> None:
    recorded = record_checksums(path, VERSION, URL, {"install.sh": SUM, "k3s-amd64": SUM})
    assert recorded.checksums("v1.36.4+k3s1", URL) == {}
    # The release itself is the same bytes on every mirror and in every bundle.
    assert recorded.checksums(VERSION, "bundle") == {"k3s-amd64": SUM}
    with pytest.raises(ChecksumDiffers):
        record_checksums(path, VERSION, "bundle", {"install.sh": SUM, "k3s-amd64": OTHER_SUM})
    record_checksums(path, "v1.36.4+k3s1", URL, {"install.sh": OTHER_SUM})
    assert load(path).checksums("v1.36.4+k3s1", URL) == {"install.sh": OTHER_SUM}


def test_writers_at_the_same_time_lose_nothing(path: Path) -> None:
    names = [f"host-{number}" for number in range(12)]
    threads = [threading.Thread(target=pin_host_keys, args=(path, {name: KEY})) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(load(path).host_keys) == sorted(names)


@pytest.mark.parametrize(
    "text",
    [
        "<<<<<<< HEAD\n",
        '[host-keys]\na = "not a key"\n',
        "[host-keys]\na = 1\n",
        "[host-key]\n",
        '[install.sha256]\n"install.sh" = "abc"\n',
        "x = " + "[" * 5000,
        "\udcff",
    ],
)
def test_a_damaged_file_is_refused_and_not_replaced(path: Path, text: str) -> None:
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(LockFileInvalid) as caught:
        pin_host_keys(path, {"a": KEY})
    assert caught.value.exit is Exit.PROFILE
    assert path.read_bytes() == text.encode(errors="surrogateescape")


def test_what_is_no_key_or_sum_is_a_bug(path: Path) -> None:
    with pytest.raises(ValueError, match="public key"):
        pin_host_keys(path, {"a": "nonsense"})
    with pytest.raises(ValueError, match="SHA-256"):
        record_checksums(path, VERSION, URL, {"install.sh": "abc"})
    assert not path.exists()
