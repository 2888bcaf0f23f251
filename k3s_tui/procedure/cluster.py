"""The table of contents, and the only place where one host's state meets another's."""

from __future__ import annotations

from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure import (
    agents,
    datastore,
    installation,
    kubeconfig,
    loadbalancer,
    preflight,
    servers,
    standing,
    verification,
)
from k3s_tui.procedure.site import Site


def build(site: Site) -> Steps:
    """Everything that makes five bare hosts a cluster, chapter by chapter."""
    before = (*preflight.steps(site), *standing.steps(site))
    database = datastore.chapter(site)
    source = installation.chapter(site)
    control = servers.chapter(site, database, source)
    balancer = loadbalancer.chapter(site, control)
    workers = agents.chapter(site, source, control, balancer)
    access = kubeconfig.chapter(site, control, balancer)
    return (
        *before,
        *database.steps,
        *source.steps,
        *control.steps,
        *balancer.steps,
        *workers.steps,
        *access.steps,
    )


def is_preflight(step: Step[Any]) -> bool:
    """Whether it guards all others: these are looked at whatever the operator selects."""
    return step.id.split("/")[1] == "preflight"


def prove(site: Site) -> Steps:
    """What shows that it is one: looked at afterwards, and whenever the operator asks."""
    return verification.steps(site)
