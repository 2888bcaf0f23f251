"""Step 3: the database that holds the cluster's state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from textual.widgets import Static

from k3s_tui.procedure import written
from k3s_tui.procedure.written import Written
from k3s_tui.profile.model import Profile
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.mode_field import ModeField
from k3s_tui.tui.widgets.rows import Row, Rows
from k3s_tui.tui.widgets.secret_field import SecretField


class DatastoreScreen(StepScreen):
    HELP = N_(
        "PostgreSQL is installed and set up on the host with the role datastore. Each server logs "
        "in over mutual TLS; nobody else may."
    )

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield ModeField(
            ("datastore", "mode"),
            N_("PostgreSQL"),
            draft.get(("datastore", "mode")),
            works=("managed", N_("installed and set up by k3s-tui")),
            later=[("existing", N_("an existing database"))],
        )
        yield Field(
            ("datastore", "hostname"),
            N_("Host name"),
            draft.get(("datastore", "hostname")),
            help=N_("How servers reach the database: it stands in its certificate."),
        )
        yield Field(
            ("datastore", "hosts-entry"),
            N_("In /etc/hosts"),
            draft.get(("datastore", "hosts-entry")),
            kind="choice",
            choices=(("auto", N_("yes")), ("never", N_("no, DNS knows the name"))),
            default="auto",
            help=N_("Whether every server gets a line with that name."),
        )
        yield Field(
            ("datastore", "port"),
            N_("Port"),
            draft.get(("datastore", "port")),
            kind="number",
            default=5432,
            help=N_("Where PostgreSQL listens; a cluster that is there keeps its own."),
        )
        yield Field(
            ("datastore", "database"),
            N_("Database"),
            draft.get(("datastore", "database")),
            default="k3s",
            help=N_("Lower case; it is this cluster's alone."),
        )
        yield Field(
            ("datastore", "user"),
            N_("User"),
            draft.get(("datastore", "user")),
            default="k3s",
            help=N_("Lower case: also the common name of every server's certificate."),
        )
        yield SecretField(
            ("datastore", "password"),
            N_("Password"),
            draft,
            help=N_(
                "The servers log in with it and with their certificate. Nobody has to know it."
            ),
        )
        yield Static(_("What will be written"), classes="heading")
        yield Rows(id="written")

    def on_mount(self) -> None:
        self.changed()

    def changed(self) -> None:
        self.query_one("#written", Rows).update(list(_preview(self.draft.checked.profile)))


def _preview(profile: Profile) -> Iterator[Row]:
    """By host, in the order in which it is done; what is alike on all servers is told once."""
    host = next(iter(profile.with_role("datastore")), "-")
    yield Row(_("On {host}").format(host=host))
    for item in written.on_datastore(profile):
        yield from _told(item)
    for name in written.unknown_servers(profile):
        yield Row("", _("and a line for {host}, once it has said its address").format(host=name))
    yield Row(_("On {host}").format(host=", ".join(profile.servers) or "-"))
    alike = {(item.where, item.lines): item for item in written.on_servers(profile)}
    for item in alike.values():
        yield from _told(item)


def _told(item: Written) -> Iterator[Row]:
    kinds = {
        "file": _("file"),
        "block": _("block in"),
        "role": _("role"),
        "database": _("database"),
    }
    where = item.where
    if item.kind == "file" and not where.startswith("/"):
        where = _("{path} beside postgresql.conf").format(path=where)
    yield Row(kinds[item.kind], f"{where}  {item.mode}".rstrip())
    for line in item.lines:
        yield Row("", f"  {line}")


SCREEN = DatastoreScreen
