"""Step 4: K3s and its servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual import on
from textual.app import SystemCommand
from textual.widgets import DataTable, Static

from k3s_tui.procedure import written
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.node_table import NodeTable
from k3s_tui.tui.widgets.options_field import OptionsField
from k3s_tui.tui.widgets.secret_field import SecretField


class NodesScreen(StepScreen):
    """A step with a table of nodes; Enter in it edits the host."""

    ROLE = "server"

    def nodes(self) -> Iterable[Any]:
        """The table, and what it says about who joins whom."""
        yield Static(id="joins")
        yield NodeTable(self.draft, self.ROLE, id="nodes")
        yield Static(_("Enter edits a node: its labels, its taints, and all the rest."), id="edits")

    def on_mount(self) -> None:
        self.changed()

    def commands(self) -> Iterable[SystemCommand]:
        yield SystemCommand(_("Edit the host"), "", self.edit)

    def changed(self) -> None:
        self.query_one("#joins", Static).update(plain(self.joins()))

    def joins(self) -> str:
        """Who joins whom, in a sentence."""
        return ""

    @on(DataTable.RowSelected, "#nodes")
    def edit(self) -> None:
        """Its labels and taints, and all the rest."""
        from k3s_tui.tui.dialogs.host import HostDialog

        table = self.query_one(NodeTable)
        if table.chosen is None:
            return

        def edited(saved: bool | None) -> None:
            if saved:
                table.fill()
                self.changed()
                self.summarize()

        self.app.push_screen(HostDialog(self.draft, table.chosen), edited)


class ServersScreen(NodesScreen):
    HELP = N_(
        "What every server of the cluster runs, and under which names its API is reached. The "
        "token also encrypts the cluster's keys in the database: once the cluster exists, it "
        "cannot be changed, and without it the database cannot be read."
    )

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield Field(
            ("k3s", "version"),
            N_("K3s version"),
            draft.get(("k3s", "version")),
            placeholder="v1.36.3+k3s1",
            help=N_("An exact release, such as v1.36.3+k3s1: every node gets the same."),
        )
        yield SecretField(
            ("k3s", "token"),
            N_("Token"),
            draft,
            help=N_("Servers join with it. It encrypts the cluster's keys, and cannot be changed."),
        )
        yield Field(
            ("k3s", "tls-san"),
            N_("More API names"),
            draft.get(("k3s", "tls-san")),
            kind="list",
            help=N_("More names or addresses for the API's certificate."),
        )
        yield Static(id="names")
        yield from self.nodes()
        yield OptionsField(
            ("k3s", "server-config"),
            N_("More options"),
            draft,
            help=N_('Options of K3s for every server, as TOML: flannel-backend = "host-gw"'),
        )
        yield from self._source()

    def _source(self) -> Iterable[Any]:
        """Where K3s comes from."""
        draft = self.draft
        source = draft.get(("install", "source"), "online")
        yield Field(
            ("install", "source"),
            N_("K3s comes from"),
            draft.get(("install", "source")),
            kind="choice",
            choices=(
                ("online", N_("its releases on the Internet")),
                ("mirror", N_("a mirror of them")),
                ("airgap", N_("a folder on this machine")),
            ),
            default="online",
            decides=True,
            help=N_("Whatever it is, checksums are recorded at first use and compared ever after."),
        )
        if source == "mirror":
            yield Field(
                ("install", "mirror"),
                N_("Mirror"),
                draft.get(("install", "mirror")),
                help=N_("It has VERSION/k3s, VERSION/sha256sum-amd64.txt and install.sh."),
            )
        if source == "airgap":
            yield Field(
                ("install", "bundle"),
                N_("Folder"),
                draft.get(("install", "bundle")),
                help=N_("With install.sh, k3s, sha256sums.txt; image archives if you like."),
            )
        else:
            yield Field(
                ("install", "script-url"),
                N_("Install script"),
                draft.get(("install", "script-url")),
                default="https://get.k3s.io",
                help=N_("Its checksum is recorded at first use, and compared ever after."),
            )

    def changed(self) -> None:
        super().changed()
        names = ", ".join(written.api_names(self.draft.checked.profile)) or "-"
        told = _("The certificate says: {names}").format(names=names)
        more = _("K3s adds each server's own name and address.")
        self.query_one("#names", Static).update(plain(f"{told}\n{more}"))

    def joins(self) -> str:
        first, *others = self.draft.checked.profile.servers or [""]
        if not first:
            return _("No host has the role server yet.")
        if not others:
            return _("{first} makes the cluster, and is its only server.").format(first=first)
        return _("{first} makes the cluster; then, one by one: {others}").format(
            first=first, others=", ".join(others)
        )


SCREEN = ServersScreen
