"""When the hosts of a cluster are asked whether they still are what it stands on."""

from __future__ import annotations

from dataclasses import replace

from k3s_tui.procedure import standing
from k3s_tui.procedure.site import Site
from tests.unit.procedure.sites import HOW_TO, changed, site


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


def test_where_the_name_leads_is_ours_to_say_or_not() -> None:
    assert "k3s-server-2/preflight/datastore-stays" in ids(site())
    by_dns = site(changed(datastore={"hosts_entry": "never"}))
    assert ids(by_dns) == {"k3s-agent/preflight/unchanged"}
