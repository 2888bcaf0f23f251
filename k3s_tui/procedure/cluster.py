"""The table of contents, and the only place where one host's state meets another's."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.engine.graph import Steps
from k3s_tui.procedure import (
    agents,
    datastore,
    embedded,
    existing_datastore,
    installation,
    kubeconfig,
    loadbalancer,
    preflight,
    servers,
    standing,
    unmasked,
    verification,
)
from k3s_tui.procedure.datastore_client import ClientOf
from k3s_tui.procedure.installation import Installation
from k3s_tui.procedure.servers import managed_client
from k3s_tui.procedure.site import Site


def build(site: Site) -> Steps:
    """Everything that makes five bare hosts a cluster, chapter by chapter."""
    before = (*preflight.steps(site), *unmasked.steps(site), *standing.steps(site))
    source = installation.chapter(site)
    database, client_of = _state(site, source)
    control = servers.chapter(site, client_of, source)
    balancer = loadbalancer.chapter(site, control)
    workers = agents.chapter(site, source, control, balancer)
    access = kubeconfig.chapter(site, control, balancer)
    return (
        *before,
        *database,
        *source.steps,
        *control.steps,
        *balancer.steps,
        *workers.steps,
        *access.steps,
    )


def _state(site: Site, source: Installation) -> tuple[Steps, ClientOf]:
    """Who holds the cluster's state: the steps of the datastore's own, and what servers need."""
    match site.profile.datastore.mode:
        case "managed":
            database = datastore.chapter(site)
            held = standing.holds_cluster(site, "datastore/cluster-is-there", database.ready)
            database = replace(
                database, steps=(*database.steps, *held), ready=(*database.ready, *held)
            )
            return database.steps, partial(managed_client, site, database, source)
        case "existing":
            return (), lambda name, ca: existing_datastore.client(site, name)
        case "embedded":
            return (), lambda name, ca: embedded.client(site, name, ca)


def is_preflight(step: Step[Any]) -> bool:
    """Whether it guards all others: these are looked at whatever the operator selects."""
    return step.id.split("/")[1] == "preflight"


def prove(site: Site) -> Steps:
    """What shows that it is one: looked at afterwards, and whenever the operator asks."""
    return verification.steps(site)
