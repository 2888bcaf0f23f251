"""Step 1: the hosts, how they are reached, and what each is to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual import on
from textual.binding import Binding
from textual.widgets import DataTable, Static

from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.text import cell
from k3s_tui.tui.widgets.field import Field

ROLES = {
    "server": N_("server"),
    "agent": N_("agent"),
    "datastore": N_("datastore"),
    "loadbalancer": N_("load balancer"),
}


class HostsScreen(StepScreen):
    BINDINGS = [
        Binding("a", "add", N_("Add")),
        Binding("enter", "edit", N_("Edit")),
        Binding("d", "delete", N_("Delete")),
    ]
    HELP = N_(
        "Every machine of the cluster: its name becomes the node's name in Kubernetes, its address "
        "is where SSH goes. At least one server, one datastore and one load balancer; two servers "
        "or more, so that one may fail."
    )

    def body(self) -> Iterable[Any]:
        yield DataTable(id="hosts", cursor_type="row", zebra_stripes=True)
        yield Static(id="told-of-host")
        yield Field(
            ("ssh", "user"),
            N_("SSH user"),
            self.draft.get(("ssh", "user")),
            help=N_("Who logs in on every host; a host may have a user of its own."),
        )
        yield Field(
            ("ssh", "identity"),
            N_("SSH key"),
            self.draft.get(("ssh", "identity")),
            default="agent",
            help=N_('"agent" for the keys of your SSH agent, or the path of a private key file.'),
        )
        yield Field(
            ("ssh", "become"),
            N_("Become root by"),
            self.draft.get(("ssh", "become")),
            kind="choice",
            choices=(("sudo", "sudo"), ("root", "root")),
            default="sudo",
            help=N_("sudo, or root when the SSH user is root already."),
        )

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for label in (N_("Name"), N_("Address"), N_("User"), N_("Roles")):
            table.add_column(cell(_(label)))
        self.fill()
        table.focus()
        super().on_mount()

    def fill(self) -> None:
        """Draw the table anew."""
        table = self.query_one(DataTable)
        at = table.cursor_row
        table.clear()
        user = self.draft.get(("ssh", "user"), "")
        for name, host in self.draft.hosts.items():
            roles = [_(ROLES.get(role, str(role))) for role in host.get("roles", ())]
            table.add_row(
                cell(name),
                cell(str(host.get("address", ""))),
                cell(str(host.get("user") or user)),
                cell(", ".join(roles)),
                key=name,
            )
        if table.row_count:
            table.move_cursor(row=min(at, table.row_count - 1))
        self.summarize()

    @property
    def chosen(self) -> str | None:
        """The name of the host under the cursor."""
        names = list(self.draft.hosts)
        row = self.query_one(DataTable).cursor_row
        return names[row] if 0 <= row < len(names) else None

    def action_add(self) -> None:
        self._edit(None)

    @on(DataTable.RowSelected)
    def action_edit(self) -> None:
        if self.chosen is not None:
            self._edit(self.chosen)

    def _edit(self, name: str | None) -> None:
        from k3s_tui.tui.dialogs.host import HostDialog

        def edited(saved: bool | None) -> None:
            if saved:
                self.fill()

        self.app.push_screen(HostDialog(self.draft, name), edited)

    def action_delete(self) -> None:
        from k3s_tui.tui.dialogs.confirm import ConfirmDialog

        name = self.chosen
        if name is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.draft.drop_host(name)
                self.fill()

        question = _("Take {name} out of the profile?").format(name=name)
        self.app.push_screen(ConfirmDialog(question, yes=N_("Delete")), answered)


SCREEN = HostsScreen
