"""An operator at the wizard, in a real terminal on the lab's network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tui.terminal import Terminal, terminal

from . import network, paths
from .product import Product


@contextmanager
def wizard(product: Product, *words: str | Path) -> Iterator[Terminal]:
    """The wizard in the operator's folder, on the lab's network."""
    command = network.inside([sys.executable, "-m", "k3s_tui", *words])
    env = {
        "HOME": str(product.home),
        "XDG_STATE_HOME": str(product.home / "state"),
        "PYTHONPATH": str(paths.REPOSITORY),
    }
    with terminal(command, product.folder, size=(100, 30), env=env) as tty:
        yield tty


def next_step(tty: Terminal, title: str) -> None:
    tty.press("C-n")
    tty.until(f" {title}]")


def to_review(tty: Terminal) -> None:
    tty.until("1 Hosts]")
    for title in ("Certs", "Datastore", "Servers", "Balancer", "Agents", "Review"):
        next_step(tty, title)
    tty.until("Nothing was looked at yet")


def start(tty: Terminal, asks: str = "Start?") -> None:
    """What a look has found, wherever the focus is."""
    tty.press("C-n")
    tty.until(asks)
    tty.press("Tab", "Enter")
