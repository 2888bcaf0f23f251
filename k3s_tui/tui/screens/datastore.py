"""Step 3: the database that holds the cluster's state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k3s_tui.tui.language import N_
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.widgets.field import Field


class DatastoreScreen(StepScreen):
    HELP = N_(
        "PostgreSQL is installed and set up on the host with the role datastore. Each server logs "
        "in over mutual TLS; nobody else may."
    )

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield Field(
            ("datastore", "hostname"),
            N_("Name"),
            draft.get(("datastore", "hostname")),
            help=N_(
                "The name by which servers reach the database: it stands in the certificate and, "
                "unless DNS knows it, in the servers' /etc/hosts."
            ),
        )
        yield Field(
            ("datastore", "hosts-entry"),
            N_("In /etc/hosts"),
            draft.get(("datastore", "hosts-entry")),
            kind="choice",
            choices=(("auto", N_("yes")), ("never", N_("no, DNS knows the name"))),
            default="auto",
        )
        yield Field(
            ("datastore", "port"),
            N_("Port"),
            draft.get(("datastore", "port")),
            kind="number",
            default=5432,
        )
        yield Field(
            ("datastore", "database"),
            N_("Database"),
            draft.get(("datastore", "database")),
            default="k3s",
        )
        yield Field(
            ("datastore", "user"),
            N_("User"),
            draft.get(("datastore", "user")),
            default="k3s",
            help=N_(
                "Lower case. It is the database's owner, and the common name of every server's "
                "certificate."
            ),
        )
        yield Field(
            ("datastore", "password"),
            N_("Password"),
            draft.get(("datastore", "password")),
            help=N_(
                "Where the password is kept, never the password: store:datastore.password is made "
                "by k3s-tui; or env:NAME, file:PATH, keyring:SERVICE/USER, prompt:"
            ),
        )


SCREEN = DatastoreScreen
