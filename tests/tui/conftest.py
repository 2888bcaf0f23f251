from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from k3s_tui.tui import glyphs, language


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, themes and drafts of these tests lie in folders of their own."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    terminal = {"COLORTERM": "truecolor", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    for variable, value in terminal.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    language.use("en")
    glyphs.use_ascii(False)
    yield
    language.use("en")
    glyphs.use_ascii(False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the operator keeps profiles."""
    return tmp_path
