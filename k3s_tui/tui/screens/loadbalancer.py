"""Step 5: the fixed registration address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from textual.widgets import Static

from k3s_tui.procedure import written
from k3s_tui.tui.language import N_, _
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.rows import Row, Rows


class LoadBalancerScreen(StepScreen):
    HELP = N_("Agents and kubectl reach the servers through it: nginx, which passes TLS on as is.")

    def body(self) -> Iterable[Any]:
        draft = self.draft
        is_ours = draft.get(("loadbalancer", "mode"), "managed") != "external"
        yield Field(
            ("loadbalancer", "mode"),
            N_("Load balancer"),
            draft.get(("loadbalancer", "mode")),
            kind="choice",
            choices=(
                ("managed", N_("nginx, set up by k3s-tui")),
                ("external", N_("one of your own")),
            ),
            default="managed",
            decides=True,
            help=N_("One of your own is never touched; it must pass TLS on as it is (layer 4)."),
        )
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
            help=N_("Where it listens for agents and kubectl."),
        )
        if is_ours:
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
                help=N_("Which server gets the next connection."),
            )
        yield Static(_("What leads where"), classes="heading")
        yield Rows(id="written")

    def on_mount(self) -> None:
        self.changed()

    def changed(self) -> None:
        self.query_one("#written", Rows).update(list(self._preview()))

    def _preview(self) -> Iterator[Row]:
        profile = self.draft.checked.profile
        yield Row(_("From"), written.registration_url(profile) or "-")
        upstreams = written.upstreams(profile)
        for at, upstream in enumerate(upstreams):
            address = upstream.address or _("its address, once it has said it")
            yield Row("" if at else _("To"), f"{upstream.host}  {address}")
        if not upstreams:
            yield Row(_("To"), _("No host has the role server yet."))
        for at, item in enumerate(written.balancer(profile)):
            yield Row("" if at else _("Files"), f"{item.host or '-'}: {item.where}  {item.mode}")


SCREEN = LoadBalancerScreen
