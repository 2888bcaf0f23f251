"""Step 3: the database that holds the cluster's state."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import SystemCommand
from textual.widgets import Button, Static
from textual.worker import Worker, WorkerState

from k3s_tui.core.errors import OperatorError
from k3s_tui.procedure import written
from k3s_tui.procedure.written import Written
from k3s_tui.profile.model import PORTS, Profile
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.problems import tell
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.text import plain
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.rows import Row, Rows
from k3s_tui.tui.widgets.secret_field import SecretField

if TYPE_CHECKING:
    from k3s_tui.procedure.proving import Proved

_OF_THE_LOGIN = (("datastore",), ("ssh",), ("hosts",))
"""Parts of the profile that must be right before a login can be tried."""


class DatastoreScreen(StepScreen):
    HELP = N_(
        "PostgreSQL is installed and set up on the host with the role datastore. Each server logs "
        "in over mutual TLS; nobody else may. A database that is there already is never changed: "
        "the review logs in from every server. With etcd, no database is needed at all."
    )

    _proved: dict[str, Proved | None]
    """By server; None while it is tried."""

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
        if mode == "managed":
            yield from self._adopted()
        if mode == "existing":
            yield from self._files()
            yield Rows(id="proofs")
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

    def _adopted(self) -> Iterable[Any]:
        """For a host that has a PostgreSQL for others already."""
        draft = self.draft
        cluster = draft.get(("datastore", "cluster"), "adopt")
        yield Field(
            ("datastore", "cluster"),
            N_("If one runs there"),
            draft.get(("datastore", "cluster")),
            kind="choice",
            choices=(
                ("adopt", N_("join it; others keep what they have")),
                ("own", N_("leave it, and make a second one on that port")),
            ),
            default="adopt",
            decides=True,
            help=N_("A bare host gets a PostgreSQL of its own in either case."),
        )
        if cluster != "own":
            yield Field(
                ("datastore", "ca"),
                N_("CA of its own"),
                draft.get(("datastore", "ca")),
                help=N_("PEM, on this machine, if one runs there with a certificate of a CA."),
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

    def buttons(self) -> Iterable[Button]:
        if self._is_existing:
            yield Button(_("Try the login"), id="prove", compact=True)

    def commands(self) -> Iterable[SystemCommand]:
        if self._is_existing:
            yield SystemCommand(_("Try the login from every server"), "", self.action_prove)

    @property
    def _is_existing(self) -> bool:
        mode: object = self.draft.get(("datastore", "mode"))
        return mode == "existing"

    @on(Button.Pressed, "#prove")
    def action_prove(self) -> None:
        """Log in from every server, and change nothing."""
        errors = [p for p in self.draft.problems() if p.severity == "error"]
        wrong = [p for p in errors if p.path[:1] in _OF_THE_LOGIN]
        if wrong:
            self.show_problems()
            self.notify(plain(tell(wrong[0])).plain, severity="error", markup=False)
            return
        self.run_worker(self._prove(), group="proofs", exclusive=True, exit_on_error=False)

    async def _prove(self) -> None:
        """From all servers side by side; another try, or leaving, ends it."""
        try:
            prover = await self.wizard.backend.prover(self.draft)
        except OperatorError as error:
            told = f"{error}; {error.hint}" if error.hint else str(error)
            self.notify(told, severity="error", markup=False)
            return
        if prover is None:
            self.notify(_("A recording has no hosts to probe."), markup=False)
            return
        servers = list(self.draft.checked.profile.servers)
        self._proved = dict.fromkeys(servers)
        self._draw_proofs()

        async def ask(name: str) -> None:
            self._proved[name] = await prover(name)
            self._draw_proofs()

        await asyncio.gather(*map(ask, servers))

    def _draw_proofs(self) -> None:
        rows = [row for name, proved in self._proved.items() for row in _of(name, proved)]
        self.query_one("#proofs", Rows).update(rows)

    @on(Worker.StateChanged)
    def _tell_bug(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            told = _("The probe failed: {error}").format(error=repr(event.worker.error))
            self.notify(told, severity="error", markup=False)

    def on_mount(self) -> None:
        self.changed()

    def changed(self) -> None:
        self.query_one("#written", Rows).update(list(_preview(self.draft.checked.profile)))


def _of(name: str, proved: Proved | None) -> Iterator[Row]:
    """A server's row, and why and what to try below it."""
    if proved is None:
        yield Row(name, _("logging in …"), "running")
        return
    problem = proved.problem
    if problem is None or problem.warning:
        told = _("let in, by {tls}, from {address}")
        yield Row(name, told.format(tls=proved.tls or "-", address=proved.address or "-"), "ok")
    if problem is not None:
        state = "warning" if problem.warning else "problem"
        yield Row("" if problem.warning else name, problem.text, state)
        if problem.hint:
            yield Row("", problem.hint)


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
