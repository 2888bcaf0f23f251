"""What outlives the wizard: changes that were never saved, and how it is to look.

A draft is kept each time a step is left and when the terminal goes away, so that neither a closed
window nor a kill loses more than the step in which one was typing.  It holds no secret.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from k3s_tui.core.files import write_atomically
from k3s_tui.profile.conceal import without_secrets
from k3s_tui.tui.draft import Draft

_DRAFT = "k3s-tui-draft-1"


def keep(draft: Draft) -> None:
    """Write down what the profile's file does not say; forget it once the file says it.

    Raises OSError.
    """
    from tomli_w import dumps

    if not draft.changed:
        forget(draft.path)
        return
    kept = {
        "format": _DRAFT,
        "path": str(draft.path.resolve()),
        "file": _digest(draft.path),
        "reviewed": draft.reviewed,
        "document": without_secrets(draft.document),
    }
    file = _file(draft.path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(file, dumps(kept).encode())


def forget(path: Path) -> None:
    """The profile's file says everything, or the operator does not want the rest."""
    with suppress(OSError):
        _file(path).unlink(missing_ok=True)


@dataclass(frozen=True)
class Unsaved:
    """A draft that was kept; `outdated` when the profile's file has changed since."""

    path: Path
    outdated: bool
    document: dict[str, Any]
    reviewed: dict[str, str]

    def draft(self) -> Draft:
        """Where it was left."""
        draft = Draft.open(self.path) if self.path.exists() else Draft(self.path, {})
        draft.take(self.document, self.reviewed)
        return draft


def unsaved(path: Path) -> Unsaved | None:
    """What was kept for this profile."""
    return _read(_file(path))


def all_unsaved(folder: Path) -> Iterator[Unsaved]:
    """What was kept for profiles of a folder, their files there or not."""
    for file in sorted(_drafts().glob("*.toml")):
        kept = _read(file)
        if kept is not None and kept.path.parent == folder.resolve():
            yield kept


def _read(file: Path) -> Unsaved | None:
    """None for a file that is not there, or that nobody who knows the format has written."""
    try:
        kept = tomllib.loads(file.read_text())
        path = Path(kept["path"])
        reviewed = {str(name): str(said) for name, said in kept["reviewed"].items()}
        if kept["format"] == _DRAFT and isinstance(kept["document"], dict):
            return Unsaved(path, kept["file"] != _digest(path), kept["document"], reviewed)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    return None


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _drafts() -> Path:
    from platformdirs import user_state_path

    return user_state_path("k3s-tui") / "drafts"


def _file(path: Path) -> Path:
    where = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return _drafts() / f"{where}.toml"


@dataclass(frozen=True)
class Preferences:
    """What the operator chose; '' where nothing was."""

    theme: str = ""
    language: str = ""


def preferences() -> Preferences:
    """Those of the last time; a file that cannot be read means none."""
    try:
        chosen = tomllib.loads(_preferences_file().read_text())
    except (OSError, ValueError, RecursionError):
        return Preferences()
    known = {
        key: value for key in asdict(Preferences()) if isinstance(value := chosen.get(key), str)
    }
    return Preferences(**known)


def prefer(**chosen: str) -> None:
    """Remember a choice.  Where that cannot be written it lasts until the wizard ends."""
    from tomli_w import dumps

    file = _preferences_file()
    said = {key: value for key, value in asdict(preferences()).items() if value} | chosen
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, dumps(said).encode(), 0o644)


def _preferences_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("k3s-tui") / "wizard.toml"
