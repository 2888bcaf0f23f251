"""What a killed process could not take away goes with the next run."""

from __future__ import annotations

from pathlib import Path

import pytest

from k3s_tui.profile.leftovers import sweep


@pytest.mark.parametrize(
    "left",
    [
        ".x.toml.abc.tmp",
        ".x.lock.toml.abc.tmp",
        ".x.secrets.abc.tmp",
        ".x.kubeconfig.abc.tmp",
        "x.pki/.datastore.key.abc.tmp",
        "x.pki/.server-k3s-server-1.crt.abc.tmp",
    ],
)
def test_they_go_and_nothing_else(
    left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kept = ["x.toml", "x.pki/datastore.key", "x.pki/.other.tmp", ".y.secrets.abc.tmp"]
    (tmp_path / "x.pki").mkdir()
    for name in (left, *kept):
        (tmp_path / name).write_text("secret")
    sweep(tmp_path / "x.toml")
    assert not (tmp_path / left).exists()
    assert all((tmp_path / name).exists() for name in kept)


def test_no_folder_is_no_matter(tmp_path: Path) -> None:
    sweep(tmp_path / "x.toml")
