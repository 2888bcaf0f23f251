"""Several operators on the lab's network, and what their commands leave on the hosts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .lab import Lab
from .observe import written
from .product import Done, Product

NOISE = re.compile(
    r"/var/log/|/var/backups/|/var/lib/(systemd|sudo|logrotate|dpkg/lock)|/home/|/root/\."
)
"""What logins leave behind, and timers at midnight: none of what k3s-tui is for."""

Snapshot = dict[str, dict[str, tuple[int, int, int, int]]]


def snapshot(lab: Lab) -> Snapshot:
    """Every file that was written on any host."""
    return {
        name: {path: info for path, info in written(host).items() if not NOISE.match(path)}
        for name, host in lab.containers.items()
    }


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Files of either that are not the same in both."""
    return sorted(
        f"{name}:{path}"
        for name in before
        for path in before[name].keys() | after[name].keys()
        if before[name].get(path) != after[name].get(path)
    )


def refused(product: Product, exit: int, *says: str) -> Done:
    """Apply, which must end with `exit`, say all of `says` and a way out, and change nothing."""
    before = snapshot(product.lab)
    done = product.apply()
    assert done.status == exit, done
    touched = changes(before, snapshot(product.lab))
    assert not touched, (touched, done)
    messages = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(messages) == 1, done
    assert "\ntry: " in done.err, done
    for text in says:
        assert text in done.err, done
    return done


class Operators:
    """Makes operators with folders of their own who share the secrets of one cluster."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        self._count = 0
        self._store = b""

    def another(self, **settings: Any) -> Product:
        """One more of them; `settings` are those of `profile.write`."""
        self._count += 1
        product = Product(self._lab, self._folder / f"operator-{self._count}", **settings)
        store = product.folder / "lab.secrets"
        if not self._store:
            assert product.init().status == 0
            self._store = store.read_bytes()
        store.write_bytes(self._store)
        return product


def edit(product: Product, old: str, new: str) -> None:
    """Change one place of the profile."""
    text = product.profile.read_text()
    assert text.count(old) == 1, old
    product.profile.write_text(text.replace(old, new))


def lock_file(product: Product) -> Path:
    return product.profile.with_suffix(".lock.toml")
