"""The hosts of a draft, a line each: where, what for, and what a probe has found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.widgets import DataTable

from k3s_tui.procedure.probing import Found
from k3s_tui.tui import glyphs
from k3s_tui.tui.draft import Draft
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.text import cell

ROLES = {
    "server": N_("server"),
    "agent": N_("agent"),
    "datastore": N_("datastore"),
    "loadbalancer": N_("load balancer"),
}
"""Roles as the profile calls them, and as people do."""


class HostTable(DataTable[Any]):
    """The row under the cursor stays the same host when it is drawn anew."""

    def __init__(self) -> None:
        super().__init__(id="hosts", cursor_type="row", zebra_stripes=True)

    def on_mount(self) -> None:
        for label in (N_("Name"), N_("Where"), N_("Roles"), N_("System"), N_("Status")):
            self.add_column(cell(_(label)))

    def show(self, draft: Draft, found: Mapping[str, Found], probing: set[str]) -> None:
        at = self.cursor_row
        self.clear()
        for name, host in draft.hosts.items():
            self.add_row(
                cell(name),
                cell(_where(host)),
                cell(", ".join(_roles(host))),
                cell(_system(found.get(name))),
                cell(_status(found.get(name), probing=name in probing)),
                key=name,
            )
        if self.row_count:
            self.move_cursor(row=min(at, self.row_count - 1), animate=False)

    def chosen(self, draft: Draft) -> str | None:
        """The name of the host under the cursor."""
        names = list(draft.hosts)
        return names[self.cursor_row] if 0 <= self.cursor_row < len(names) else None


def _where(host: Mapping[str, Any]) -> str:
    """As one would give it to ssh; user and port when they are the host's own."""
    user = f"{host['user']}@" if host.get("user") else ""
    port = f":{host['port']}" if host.get("port") else ""
    return f"{user}{host.get('address', '')}{port}"


def _roles(host: Mapping[str, Any]) -> list[str]:
    roles = host.get("roles")
    known = roles if isinstance(roles, list) else []
    return [_(ROLES[role]) if role in ROLES else str(role) for role in known]


def _system(found: Found | None) -> str:
    if found is None:
        return ""
    return f"{found.os.replace(' GNU/Linux', '')} {found.arch}".strip()


def _status(found: Found | None, *, probing: bool) -> str:
    if probing:
        return f"{glyphs.glyph('waiting')} {_('probing')}"
    if found is None:
        return f"{glyphs.glyph('pending')} {_('not probed')}"
    if found.state == "unknown-key":
        return f"{glyphs.glyph('warning')} {_('new host key')}"
    severities = {problem.severity for problem in found.problems}
    if found.state == "failed" or "error" in severities:
        return f"{glyphs.glyph('problem')} {_('not ready')}"
    if "warning" in severities:
        return f"{glyphs.glyph('warning')} {_('ready, with warnings')}"
    return f"{glyphs.glyph('ok')} {_('ready')}"
