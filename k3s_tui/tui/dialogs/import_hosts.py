"""Hosts that the operator's own ssh configuration knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from k3s_tui.profile.sshconfig import Candidate, read_hosts
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.rows import Row, Rows


class _Choices(OptionList):
    BINDINGS = [Binding("enter,space", "select", N_("Choose"), show=False)]


class ImportDialog(Dialog[bool]):
    """Nothing is chosen at first; those that the profile has already are not offered."""

    HELP = N_(
        "Space chooses a host and takes it back. Address, user, port and jump host come from the "
        "SSH configuration; the file itself is only read."
    )
    BINDINGS = [
        Binding("escape", "cancel", N_("Cancel"), key_display="Esc"),
        Binding("ctrl+s", "take", N_("OK"), key_display="^s", priority=True),
    ]

    def __init__(self, draft: Draft, config: Path | None = None) -> None:
        super().__init__()
        self._draft = draft
        read = read_hosts(config or Path.home() / ".ssh" / "config")
        self._problems = read.problems
        self._known = {candidate.alias: candidate for candidate in read.hosts}
        there = {str(host.get("address")) for host in draft.hosts.values()}
        self._offered = [
            candidate
            for candidate in read.hosts
            if node_name(candidate) not in draft.hosts and candidate.address not in there
        ]
        self._chosen: set[int] = set()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            if self._offered:
                yield Static(_("Choose hosts; their roles come afterwards."))
                yield _Choices(*self._options(), compact=True)
            else:
                yield Static(_("~/.ssh/config has no host that is not here yet."))
            if self._problems:
                yield Rows([Row("", problem, "warning") for problem in self._problems])
            yield Static(id="count")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True, disabled=True)
            yield KeyBar(palette=False)

    def _options(self) -> Iterable[Option]:
        for number, candidate in enumerate(self._offered):
            sign = "[x]" if number in self._chosen else "[ ]"
            yield Option(plain(f"{sign} {_described(candidate)}"))

    @on(OptionList.OptionSelected)
    def _toggle(self, event: OptionList.OptionSelected) -> None:
        self._chosen ^= {event.option_index}
        prompt = list(self._options())[event.option_index].prompt
        event.option_list.replace_option_prompt_at_index(event.option_index, prompt)
        self.query_one("#ok", Button).disabled = not self._chosen
        count = ngettext("{n} host", "{n} hosts", len(self._chosen)).format(n=len(self._chosen))
        self.query_one("#count", Static).update(plain(count))

    @on(Button.Pressed, "#ok")
    def action_take(self) -> None:
        if not self._chosen:
            self.app.bell()
            return
        chosen = [self._offered[number] for number in sorted(self._chosen)]
        names = _names(chosen, self._draft.hosts)
        for candidate in chosen:
            self._draft.put_host(None, names[candidate.alias], self._table(candidate, names))
        self.dismiss(True)

    def _table(self, candidate: Candidate, names: Mapping[str, str]) -> dict[str, Any]:
        table: dict[str, Any] = {"address": candidate.address, "roles": []}
        for key, value in (
            ("user", candidate.user),
            ("port", candidate.port),
            ("jump", self._jump(candidate.jump, names)),
        ):
            if value:
                table[key] = value
        return table

    def _jump(self, jump: str, names: Mapping[str, str]) -> str:
        """An alias is nothing outside of ssh's configuration: what it stands for takes its place,
        or the host that it becomes here.
        """
        if jump in names:
            return names[jump]
        if jump in self._draft.hosts or jump not in self._known:
            return jump
        known = self._known[jump]
        user = f"{known.user}@" if known.user else ""
        return f"{user}{known.address}" + (f":{known.port}" if known.port else "")

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        self.dismiss(False)


def node_name(candidate: Candidate) -> str:
    """An alias as a node may be called."""
    return re.sub(r"[^a-z0-9.-]+", "-", candidate.alias.lower()).strip("-.") or "host"


def _names(chosen: Sequence[Candidate], taken: Iterable[str]) -> dict[str, str]:
    """A name of its own for each alias."""
    names: dict[str, str] = {}
    used = set(taken)
    for candidate in chosen:
        name = node_name(candidate)
        number = 2
        while name in used:
            name, number = f"{node_name(candidate)}-{number}", number + 1
        used.add(name)
        names[candidate.alias] = name
    return names


def _described(candidate: Candidate) -> str:
    user = f"{candidate.user}@" if candidate.user else ""
    port = f":{candidate.port}" if candidate.port else ""
    jump = f" ({_('by way of')} {candidate.jump})" if candidate.jump else ""
    return f"{candidate.alias}  {user}{candidate.address}{port}{jump}"
