"""Step 3: the database that holds the cluster's state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from textual.widgets import Static

from k3s_tui.procedure import written
from k3s_tui.procedure.written import Written
from k3s_tui.profile.model import PORTS, Profile
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.rows import Row, Rows
from k3s_tui.tui.widgets.secret_field import SecretField


class DatastoreScreen(StepScreen):
    HELP = N_(
        "PostgreSQL is installed and set up on the host with the role datastore. Each server logs "
        "in over mutual TLS; nobody else may. A database that is there already is never changed: "
        "the review logs in from every server. With etcd, no database is needed at all."
    )

    def body(self) -> Iterable[Any]:
        draft = self.draft
        mode = draft.get(("datastore", "mode"), "managed")
        yield Field(
            ("datastore", "mode"),
            N_("State is kept in"),
            draft.get(("datastore", "mode")),
            kind="choice",
            choices=(
                ("managed", N_("PostgreSQL, set up by k3s-tui")),
                ("existing", N_("a database that is there already")),
                ("embedded", N_("etcd, inside the servers")),
            ),
            default="managed",
            decides=True,
            help=N_("Whatever it is, the cluster is as available as that is."),
        )
        if mode == "existing":
            yield from self._product()
        if mode != "embedded":
            yield from self._where()
            yield from self._login()
        if mode == "existing":
            yield from self._files()
        yield Static(_("What will be written"), classes="heading")
        yield Rows(id="written")

    def _product(self) -> Iterable[Any]:
        yield Field(
            ("datastore", "engine"),
            N_("It is"),
            self.draft.get(("datastore", "engine")),
            kind="choice",
            choices=(("postgresql", "PostgreSQL"), ("mysql", N_("MySQL or MariaDB"))),
            default="postgresql",
            decides=True,
            help=N_("What answers there."),
        )

    def _where(self) -> Iterable[Any]:
        draft = self.draft
        is_ours = draft.get(("datastore", "mode"), "managed") == "managed"
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
            choices=(
                ("auto", N_("yes") if is_ours else N_("only where no DNS knows the name")),
                ("never", N_("no, DNS knows the name")),
            ),
            default="auto",
            help=N_("Whether every server gets a line with that name."),
        )
        if not is_ours:
            yield Field(
                ("datastore", "address"),
                N_("Its address"),
                draft.get(("datastore", "address")),
                help=N_("For /etc/hosts; leave it empty when a DNS knows the name."),
            )
        engine = draft.get(("datastore", "engine"), "postgresql")
        yield Field(
            ("datastore", "port"),
            N_("Port"),
            draft.get(("datastore", "port")),
            kind="number",
            default=PORTS.get(engine, 5432),
            help=N_("Where PostgreSQL listens; a cluster that is there keeps its own.")
            if is_ours
            else N_("Where it listens."),
        )

    def _login(self) -> Iterable[Any]:
        draft = self.draft
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
            made=draft.get(("datastore", "mode"), "managed") == "managed",
            help=N_(
                "The servers log in with it and with their certificate. Nobody has to know it."
            ),
        )

    def _files(self) -> Iterable[Any]:
        draft = self.draft
        yield Field(
            ("datastore", "ca"),
            N_("CA file"),
            draft.get(("datastore", "ca")),
            help=N_("PEM, on this machine: the CA that signed the database's certificate."),
        )
        yield Field(
            ("datastore", "client-certificate"),
            N_("Certificate file"),
            draft.get(("datastore", "client-certificate")),
            help=N_("PEM, on this machine, when the database wants one of its clients."),
        )
        yield Field(
            ("datastore", "client-key"),
            N_("Key file"),
            draft.get(("datastore", "client-key")),
            help=N_("PEM, on this machine: the key of that certificate."),
        )

    def on_mount(self) -> None:
        self.changed()

    def changed(self) -> None:
        self.query_one("#written", Rows).update(list(_preview(self.draft.checked.profile)))


def _preview(profile: Profile) -> Iterator[Row]:
    """By host, in the order in which it is done; what is alike on all servers is told once."""
    if profile.datastore.mode == "embedded":
        yield Row("", _("Nothing for a database: the servers keep the state among themselves."))
        return
    if profile.datastore.mode == "managed":
        yield from _on_datastore(profile)
    yield Row(_("On {host}").format(host=", ".join(profile.servers) or "-"))
    alike = {(item.where, item.lines): item for item in written.on_servers(profile)}
    for item in alike.values():
        yield from _told(item)


def _on_datastore(profile: Profile) -> Iterator[Row]:
    host = next(iter(profile.with_role("datastore")), "-")
    yield Row(_("On {host}").format(host=host))
    for item in written.on_datastore(profile):
        yield from _told(item)
    for name in written.unknown_servers(profile):
        yield Row("", _("and a line for {host}, once it has said its address").format(host=name))


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
