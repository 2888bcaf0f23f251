"""The cluster's nodes of one kind, with labels and taints."""

from __future__ import annotations

from typing import Any

from textual.binding import Binding
from textual.widgets import DataTable

from k3s_tui.tui.draft import Draft, roles_of
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.text import cell


class NodeTable(DataTable[Any]):
    """Hosts of a role, in the order in which they join.  Enter selects one."""

    DEFAULT_CSS = """
    NodeTable { height: auto; min-height: 2; max-height: 8; }
    """

    BINDINGS = [Binding("enter", "select_cursor", N_("Edit"), key_display="⏎")]

    def __init__(self, draft: Draft, role: str, *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self._draft = draft
        self._role = role

    def on_mount(self) -> None:
        for label in (_("Name"), _("Address"), _("Labels"), _("Taints")):
            self.add_column(cell(label))
        self.fill()

    @property
    def names(self) -> list[str]:
        return [n for n, h in self._draft.hosts.items() if self._role in roles_of(h)]

    @property
    def chosen(self) -> str | None:
        """The name of the host under the cursor."""
        names = self.names
        return names[self.cursor_row] if 0 <= self.cursor_row < len(names) else None

    def fill(self) -> None:
        """Draw the table anew from the draft."""
        at = self.cursor_row
        self.clear()
        for name in self.names:
            host = self._draft.hosts[name]
            self.add_row(
                cell(name),
                cell(str(host.get("node-ip") or host.get("address", ""))),
                cell(_pairs(host.get("labels"))),
                cell(_items(host.get("taints"))),
            )
        if self.row_count:
            self.move_cursor(row=min(max(at, 0), self.row_count - 1))


def _pairs(value: object) -> str:
    return _items([f"{k}={v}" for k, v in value.items()]) if isinstance(value, dict) else "-"


def _items(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) and value else "-"
