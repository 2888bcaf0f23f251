"""Several hosts at once, from lines that somebody has already."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static, TextArea

from k3s_tui.profile.hostlines import HostLine, parse_lines
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.key_bar import KeyBar
from k3s_tui.tui.widgets.plain_area import PlainArea


class PasteDialog(Dialog[bool]):
    """Takes all of the lines or none."""

    HELP = N_(
        "One line makes one host. Roles are server, agent, datastore and loadbalancer, divided by"
        " commas. All lines are taken, or none: what is wrong is told with its line."
    )
    BINDINGS = [
        Binding("escape", "cancel", N_("Cancel"), key_display="Esc"),
        Binding("ctrl+s", "take", N_("OK"), key_display="^s", priority=True),
    ]

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            yield Static(_("A host each line: name address user roles. Only the address must be."))
            yield PlainArea(placeholder="k3s-server-1 10.0.0.11 ops server")
            with VerticalScroll(id="judged"):
                yield Static(id="wrong")
                yield Static(id="right")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True, disabled=True)
            yield KeyBar(palette=False)

    def on_mount(self) -> None:
        self.query_one(PlainArea).focus()

    @on(TextArea.Changed)
    def _judge(self) -> None:
        hosts, wrong = self._read()
        told = [_("line {n}: {text}").format(n=line, text=text) for line, text in sorted(wrong)]
        count = ngettext("{n} host", "{n} hosts", len(hosts)).format(n=len(hosts))
        self.query_one("#wrong", Static).update(plain("\n".join(told)))
        self.query_one("#right", Static).update(plain(count if hosts and not wrong else ""))
        self.query_one("#ok", Button).disabled = bool(wrong or not hosts)

    def _read(self) -> tuple[tuple[HostLine, ...], list[tuple[int, str]]]:
        """The hosts of the lines, and what is wrong, by number of line."""
        hosts, problems = parse_lines(self.query_one(PlainArea).text)
        wrong = [
            (p.line, f"{p.text}; {_('expected')}: {p.expected}" if p.expected else p.text)
            for p in problems
        ]
        addresses = {str(host.get("address")): name for name, host in self._draft.hosts.items()}
        for host in hosts:
            if host.name in self._draft.hosts:
                text = _("there is a host called {name} already").format(name=host.name)
                wrong.append((host.line, text))
            elif host.address in addresses:
                text = _("{address} is the address of {name} already")
                name = addresses[host.address]
                wrong.append((host.line, text.format(address=host.address, name=name)))
            addresses.setdefault(host.address, host.name)
        return hosts, wrong

    @on(Button.Pressed, "#ok")
    def action_take(self) -> None:
        hosts, wrong = self._read()
        if wrong or not hosts:
            self.app.bell()
            return
        for host in hosts:
            self._draft.put_host(None, host.name, as_table(host))
        self.dismiss(True)

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        self.dismiss(False)


def as_table(host: HostLine) -> dict[str, Any]:
    """A pasted line as the profile would have it."""
    table: dict[str, Any] = {"address": host.address, "roles": list(host.roles)}
    if host.user:
        table["user"] = host.user
    return table
