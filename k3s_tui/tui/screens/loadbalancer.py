"""Step 5: the fixed registration address."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k3s_tui.tui.language import N_
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.widgets.field import Field


class LoadBalancerScreen(StepScreen):
    HELP = N_("Agents and kubectl reach the servers through it: nginx, which passes TLS on as is.")

    def body(self) -> Iterable[Any]:
        draft = self.draft
        yield Field(
            ("loadbalancer", "address"),
            N_("Address"),
            draft.get(("loadbalancer", "address")),
            help=N_("The load balancer's own address, or a virtual one that leads there."),
        )
        yield Field(
            ("loadbalancer", "port"),
            N_("Port"),
            draft.get(("loadbalancer", "port")),
            kind="number",
            default=6443,
        )
        yield Field(
            ("loadbalancer", "method"),
            N_("Method"),
            draft.get(("loadbalancer", "method")),
            kind="choice",
            choices=(
                ("least_conn", N_("fewest connections")),
                ("round_robin", N_("in turn")),
            ),
            default="least_conn",
        )


SCREEN = LoadBalancerScreen
