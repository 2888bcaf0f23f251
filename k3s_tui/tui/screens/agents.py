"""Step 6: the agents, which run what the cluster is for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k3s_tui.procedure import written
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.servers import NodesScreen
from k3s_tui.tui.widgets.options_field import OptionsField
from k3s_tui.tui.widgets.secret_field import SecretField


class AgentsScreen(NodesScreen):
    HELP = N_("Agents join through the load balancer, with a token that makes no server of them.")
    ROLE = "agent"

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield SecretField(
            ("k3s", "agent-token"),
            N_("Agent token"),
            draft,
            help=N_("Agents join with it; it makes no server of them. It cannot be changed later."),
        )
        yield from self.nodes()
        yield OptionsField(
            ("k3s", "agent-config"),
            N_("More options"),
            draft,
            help=N_('Options of K3s for every agent, as TOML: kubelet-arg = ["max-pods=50"]'),
        )

    def joins(self) -> str:
        profile = self.draft.checked.profile
        if not profile.agents:
            return _("No host has the role agent: the servers run everything themselves.")
        url = written.registration_url(profile) or "-"
        return _("They join through {url}, side by side.").format(url=url)


SCREEN = AgentsScreen
