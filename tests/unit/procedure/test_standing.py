"""When the hosts of a cluster are asked whether they still are what it stands on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from k3s_tui.hosts.listeners import Listener
from k3s_tui.procedure import cluster, standing
from k3s_tui.procedure.site import Site
from k3s_tui.resources.k3s.cluster_ca import PATH as CLUSTER_CA
from k3s_tui.resources.k3s.service import MARK
from k3s_tui.resources.mysql.proof import MysqlProof
from k3s_tui.resources.postgres.elsewhere import ElsewhereProof
from tests.unit.procedure.sites import AUTHORITY, HOW_TO, changed, site


def ids(where: Site) -> set[str]:
    return {step.id for step in standing.steps(where)}


def departed(where: Site) -> set[str]:
    return {id for id in ids(where) if id.endswith("/departed-hosts")}


def test_nobody_lists_nodes_unless_a_pinned_host_is_missing() -> None:
    there = site(facts={"k3s-server-1": {"k3s_role": "server"}})
    assert not departed(there)
    assert not departed(replace(there, pinned=frozenset(HOW_TO.hosts)))
    missing = replace(there, pinned=frozenset({"k3s-agent-2"}))
    assert departed(missing) == {"k3s-server-1/preflight/departed-hosts"}
    assert not departed(replace(site(), pinned=missing.pinned)), "no server runs yet"


FOUNDED = {"k3s_role": "server", "marks": frozenset({MARK, CLUSTER_CA})}
LISTENS = (Listener(5432, "0.0.0.0", "postgres", (7,)),)


def found(where: Site, id: str) -> Any:
    """The check of a step of the whole plan; None where there is no such step."""
    return next((step.ensure for step in cluster.build(where) if step.id == id), None)


def test_servers_of_a_cluster_want_their_datastore_to_hold_it() -> None:
    """Before anything is touched, and again once PostgreSQL surely runs."""
    assert not [id for id in ids(site()) if "cluster-is-there" in id], "there is no cluster"
    cut_off = {"k3s_role": "server", "marks": frozenset({MARK})}
    assert not site(facts={"k3s-server-1": cut_off}).founded
    there = site(facts={"k3s-server-1": FOUNDED, "postgres": {"listening": LISTENS}})
    before = found(there, "postgres/preflight/cluster-is-there")
    assert before.servers == ("k3s-server-1",)
    assert found(there, "postgres/datastore/cluster-is-there").surely
    steps = {step.id: step for step in cluster.build(there)}
    needs = {step.id for step in steps["k3s-server-2/servers/datastore-login"].needs}
    assert "postgres/datastore/cluster-is-there" in needs


@pytest.mark.parametrize(
    ("facts", "surely"),
    [
        ({"listening": LISTENS}, True),
        ({"commands": frozenset({"psql"})}, False),  # it may be stopped, and hold everything
        ({}, True),  # it has no PostgreSQL
        ({"commands": frozenset({"psql"}), "listening": LISTENS}, True),
    ],
)
def test_a_postgresql_that_does_not_answer(facts: dict[str, Any], surely: bool) -> None:
    there = site(facts={"k3s-server-1": FOUNDED, "postgres": facts})
    assert found(there, "postgres/preflight/cluster-is-there").surely == surely


@pytest.mark.parametrize(
    ("engine", "proof"), [("postgresql", ElsewhereProof), ("mysql", MysqlProof)]
)
def test_a_database_of_theirs_is_looked_into_from_each_server(engine: str, proof: type) -> None:
    theirs = changed(datastore={"mode": "existing", "engine": engine})
    both = {"k3s-server-1": FOUNDED, "k3s-server-2": FOUNDED}
    there = site(theirs, facts=both)
    for name in both:
        assert isinstance(found(there, f"{name}/preflight/cluster-is-there").login, proof)
    assert not [id for id in ids(site(theirs)) if "cluster-is-there" in id]


def test_the_ca_is_compared_where_it_is_ours() -> None:
    there = site(facts={"k3s-server-1": FOUNDED})
    assert found(there, "k3s-server-1/preflight/datastore-ca").shown == AUTHORITY.certificate_pem
    assert found(there, "k3s-server-2/preflight/datastore-ca") is None, "it is bare"
    theirs = site(changed(datastore={"mode": "existing"}), facts={"k3s-server-1": FOUNDED})
    assert found(theirs, "k3s-server-1/preflight/datastore-ca") is None


def test_an_address_that_we_wrote_for_theirs_stays() -> None:
    pinned = changed(datastore={"mode": "existing", "address": "10.0.0.9"})
    assert found(site(pinned), "k3s-server-1/preflight/datastore-stays").addresses == ("10.0.0.9",)
    by_dns = changed(datastore={"mode": "existing"})
    assert found(site(by_dns), "k3s-server-1/preflight/datastore-stays") is None


def test_where_the_name_leads_is_ours_to_say_or_not() -> None:
    assert "k3s-server-2/preflight/datastore-stays" in ids(site())
    by_dns = site(changed(datastore={"hosts_entry": "never"}))
    assert ids(by_dns) == {"k3s-agent/preflight/unchanged"}
