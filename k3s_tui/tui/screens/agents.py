"""Step 6: the agents, which run what the cluster is for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k3s_tui.tui.language import N_
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.widgets.field import Field


class AgentsScreen(StepScreen):
    HELP = N_("Agents join through the load balancer, with a token that makes no server of them.")

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield Field(
            ("k3s", "agent-token"),
            N_("Agent token"),
            draft.get(("k3s", "agent-token")),
            help=N_("Where the agents' token is kept."),
        )
        yield Field(
            ("k3s", "agent-config"),
            N_("More options"),
            draft.table_text(("k3s", "agent-config")),
            kind="table",
            help=N_("Options of K3s for every agent, as TOML."),
        )


SCREEN = AgentsScreen
