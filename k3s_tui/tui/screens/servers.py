"""Step 4: K3s and its servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k3s_tui.tui.language import N_
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.widgets.field import Field


class ServersScreen(StepScreen):
    HELP = N_("What every server of the cluster runs, and under which names its API is reached.")

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield Field(
            ("k3s", "version"),
            N_("K3s version"),
            draft.get(("k3s", "version")),
            help=N_("An exact release, such as v1.36.3+k3s1: every node gets the same."),
        )
        yield Field(
            ("k3s", "token"),
            N_("Token"),
            draft.get(("k3s", "token")),
            help=N_("Where the servers' token is kept. It also encrypts the cluster's own keys."),
        )
        yield Field(
            ("k3s", "tls-san"),
            N_("More API names"),
            draft.get(("k3s", "tls-san")),
            kind="list",
            help=N_("More names or addresses of the API; the registration address is one already."),
        )
        yield Field(
            ("install", "script-url"),
            N_("Install script"),
            draft.get(("install", "script-url")),
            default="https://get.k3s.io",
        )
        yield Field(
            ("k3s", "server-config"),
            N_("More options"),
            draft.table_text(("k3s", "server-config")),
            kind="table",
            help=N_('Options of K3s for every server, as TOML: disable = ["traefik"]'),
        )


SCREEN = ServersScreen
