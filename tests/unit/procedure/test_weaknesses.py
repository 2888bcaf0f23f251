from __future__ import annotations

import msgspec

from k3s_tui.procedure.weaknesses import single_points
from k3s_tui.profile.load import check
from k3s_tui.profile.model import HostEntry, Profile
from tests.unit.procedure.sites import HOW_TO, changed, with_host


def found(profile: Profile) -> dict[str, tuple[str, ...]]:
    return {one.code: one.hosts for one in single_points(profile)}


def test_the_how_to_has_two_and_two_servers_are_none() -> None:
    assert found(HOW_TO) == {"one-datastore": ("postgres",), "one-load-balancer": ("nginx",)}
    for one in single_points(HOW_TO):
        assert one.hosts[0] in one.text and one.text.endswith(".")


def test_one_server_is_one() -> None:
    hosts = {n: h for n, h in HOW_TO.hosts.items() if n != "k3s-server-2"}
    alone = msgspec.structs.replace(HOW_TO, hosts=hosts)
    assert found(alone)["one-server"] == ("k3s-server-1",)


def test_roles_on_one_host_fail_together() -> None:
    both = HostEntry(address="10.161.129.54", roles=["server", "loadbalancer"])
    shared = with_host("k3s-server-1", both)
    assert found(shared)["shared-host"] == ("k3s-server-1",)
    text = next(one.text for one in single_points(shared) if one.code == "shared-host")
    assert "server and loadbalancer" in text


def test_what_somebody_else_runs_is_not_judged() -> None:
    assert found(changed(datastore={"mode": "existing"}, loadbalancer={"mode": "external"})) == {}


def test_a_draft_without_hosts_is_judged_too() -> None:
    assert found(check({}).profile) == {
        "one-datastore": (),
        "one-load-balancer": (),
        "no-server": (),
    }
