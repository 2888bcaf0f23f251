"""Several hosts at once, from lines that somebody has already."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static, TextArea

from k3s_tui.profile.hostlines import HostLine, parse_lines
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _, ngettext
from k3s_tui.tui.screens.base import Dialog
from k3s_tui.tui.text import plain


class PasteDialog(Dialog[bool]):
    """Takes all of the lines or none."""

    BINDINGS = [
        Binding("escape", "cancel", N_("Cancel"), key_display="Esc"),
        Binding("ctrl+s", "take", N_("OK"), key_display="^s"),
    ]

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(_("A host each line: name address user roles. Only the address must be."))
            yield TextArea(
                compact=True,
                tab_behavior="focus",
                placeholder="k3s-server-1 10.0.0.11 ops server",
            )
            yield Static(id="wrong")
            with Horizontal(classes="answers"):
                yield Button(_("Cancel"), id="cancel", compact=True)
                yield Button(_("OK"), id="ok", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

    @on(TextArea.Changed)
    def _judge(self) -> None:
        hosts, problems = parse_lines(self.query_one(TextArea).text)
        lines = [
            _("line {n}: {text}").format(n=p.line, text=f"{p.text}; {_('expected')}: {p.expected}")
            for p in problems
        ]
        taken = [host for host in hosts if host.name in self._draft.hosts]
        lines += [
            _("line {n}: {text}").format(
                n=host.line,
                text=_("there is a host called {name} already").format(name=host.name),
            )
            for host in taken
        ]
        if not lines and hosts:
            lines = [ngettext("{n} host", "{n} hosts", len(hosts)).format(n=len(hosts))]
        self.query_one("#wrong", Static).update(plain("\n".join(lines)))
        self.query_one("#ok", Button).disabled = bool(problems or taken or not hosts)

    @on(Button.Pressed, "#ok")
    def action_take(self) -> None:
        hosts, problems = parse_lines(self.query_one(TextArea).text)
        if problems or not hosts or any(host.name in self._draft.hosts for host in hosts):
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
