"""Hosts that the operator's own ssh configuration knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static

from k3s_tui.profile.sshconfig import Candidate, read_hosts
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.tick import Tick


class ImportDialog(Dialog[bool]):
    """Nothing is chosen at first; those that the profile has already are not offered."""

    BINDINGS = [Binding("escape", "cancel", N_("Cancel"), key_display="Esc")]

    def __init__(self, draft: Draft, config: Path | None = None) -> None:
        super().__init__()
        self._draft = draft
        found = read_hosts(config or Path.home() / ".ssh" / "config")
        self._problems = found.problems
        self._offered = [
            candidate for candidate in found.hosts if node_name(candidate) not in draft.hosts
        ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            if not self._offered:
                yield Static(_("~/.ssh/config has no host that is not here yet."))
            for number, candidate in enumerate(self._offered):
                yield Tick(plain(_described(candidate)), id=f"host-{number}")
            for problem in self._problems[:3]:
                yield Static(plain(problem), classes="bad")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(
                    _("OK"),
                    id="ok",
                    variant="primary",
                    compact=True,
                    disabled=not self._offered,
                )

    @on(Button.Pressed, "#ok")
    def _take(self) -> None:
        chosen = [
            candidate
            for number, candidate in enumerate(self._offered)
            if self.query_one(f"#host-{number}", Tick).value
        ]
        for candidate in chosen:
            self._draft.put_host(None, node_name(candidate), as_table(candidate))
        self.dismiss(bool(chosen))

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        self.dismiss(False)


def node_name(candidate: Candidate) -> str:
    """An alias as a node may be called."""
    return re.sub(r"[^a-z0-9.-]+", "-", candidate.alias.lower()).strip("-.")


def as_table(candidate: Candidate) -> dict[str, Any]:
    table: dict[str, Any] = {"address": candidate.address, "roles": []}
    for key, value in (
        ("user", candidate.user),
        ("port", candidate.port),
        ("jump", candidate.jump),
    ):
        if value:
            table[key] = value
    return table


def _described(candidate: Candidate) -> str:
    user = f"{candidate.user}@" if candidate.user else ""
    port = f":{candidate.port}" if candidate.port else ""
    jump = f" ({_('by way of')} {candidate.jump})" if candidate.jump else ""
    return f"{candidate.alias}  {user}{candidate.address}{port}{jump}"
