from __future__ import annotations

from collections.abc import Callable

from k3s_tui.core.contract import Verdict
from k3s_tui.engine.graph import ordered
from k3s_tui.engine.plan import Item, Plan
from k3s_tui.procedure import cluster
from k3s_tui.procedure.estimate import MOMENT, TYPICAL, estimate
from k3s_tui.profile.model import HostEntry, Profile
from tests.unit.procedure.sites import HOW_TO, changed, site, with_host


def plan(
    profile: Profile = HOW_TO,
    verdict: Callable[[str], Verdict] = lambda id: "ok" if "/preflight/" in id else "change",
    state: object = None,
) -> Plan:
    steps = ordered(cluster.build(site(profile)))
    return Plan({step: Item(step, verdict(step.id), state=state) for step in steps})


def only(*ids: str, verdict: Verdict = "change") -> Callable[[str], Verdict]:
    return lambda id: verdict if id in ids else "ok"


def test_a_finished_cluster_takes_no_time() -> None:
    assert estimate(plan(verdict=lambda _: "ok")) == (0, 0)
    assert estimate(Plan()) == (0, 0)


def test_every_entry_of_the_table_is_a_step() -> None:
    bundle = changed(install={"source": "airgap", "bundle": "x"})
    steps = [*plan().items, *plan(bundle).items]
    chapters = {step.id.partition("/")[2] for step in steps}
    assert set(TYPICAL) <= chapters
    assert all(0 < least <= most for least, most in TYPICAL.values())


def test_a_step_takes_what_the_table_says_and_others_a_moment() -> None:
    assert estimate(plan(verdict=only("postgres/datastore/packages"))) == (20, 60)
    assert estimate(plan(verdict=only("postgres/datastore/role"))) == MOMENT


def test_hosts_work_side_by_side_and_needs_one_after_the_other() -> None:
    side = only("postgres/datastore/packages", "nginx/loadbalancer/packages")
    assert estimate(plan(verdict=side)) == (20, 60)
    chain = only("postgres/datastore/packages", "postgres/datastore/cluster")
    assert estimate(plan(verdict=chain)) == (21, 70)
    servers = only("k3s-server-1/servers/k3s", "k3s-server-2/servers/k3s")
    assert estimate(plan(verdict=servers)) == (30, 80)


def test_a_first_run_takes_minutes_and_each_server_adds_to_it() -> None:
    least, most = estimate(plan())
    assert 45 < least < 120 and 150 < most < 600
    third = with_host("s3", HostEntry(address="10.161.129.155", roles=["server"]))
    more = estimate(plan(third))
    assert more[0] - least >= TYPICAL["servers/k3s"][0]
    agent = with_host("a2", HostEntry(address="10.161.129.197", roles=["agent"]))
    assert estimate(plan(agent)) == (least, most)


def test_what_is_only_looked_at_again_may_take_no_time() -> None:
    again = plan(verdict=only("k3s-server-1/servers/k3s", verdict="later"), state="as wanted")
    assert estimate(again) == (0, 40)
    unknown = plan(verdict=only("k3s-server-1/servers/k3s", verdict="later"))
    assert estimate(unknown) == (15, 40)
