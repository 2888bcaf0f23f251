"""Every text that names an address, in IPv6 and in both families; the preflight's rules on them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from k3s_tui.core.address import endpoint
from k3s_tui.hosts import reasons
from k3s_tui.hosts.facts import Facts, parse
from k3s_tui.hosts.target import Target, parse_jump
from k3s_tui.procedure import cluster, networks, servers, verification, written
from k3s_tui.procedure.site import Site, peers_of
from k3s_tui.procedure.targets import target
from k3s_tui.profile.model import HostEntry, Profile
from k3s_tui.resources.balance import EveryServerAnswers
from k3s_tui.resources.block import Block
from k3s_tui.resources.certificate import HostCertificate
from k3s_tui.resources.k3s.nodes import NodeReady
from k3s_tui.resources.k3s.service import K3sService
from k3s_tui.resources.nginx import CONFIG_PATH
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.postgres.sessions import Sessions
from k3s_tui.resources.postgres.settings import Settings, SettingsState
from k3s_tui.resources.service import Service
from tests.unit.procedure.sites import BOTH, HOW_TO, IPV6, changed, site, with_host, with_node_ip

SERVER, SECOND, AGENT, DATASTORE = "k3s-server-1", "k3s-server-2", "k3s-agent", "postgres"


class Seen(dict[Any, Any]):
    def __missing__(self, step: Any) -> Any:
        class Anything:
            def __getattr__(self, name: str) -> str:
                return "x"

        return Anything()


def checks(here: Site) -> dict[str, Any]:
    """What each step makes sure of, by its id."""
    found = {}
    for step in (*cluster.build(here), *verification.steps(here)):
        ensure: Any = step.ensure
        if callable(ensure) and not hasattr(ensure, "probe"):
            if not step.id.endswith(("/access", "/k3s", "/settings", "/ready")):
                continue  # names no address
            ensure = ensure(Seen())
        found[step.id] = ensure
    return found


def texts(ensure: Any) -> dict[str, str]:
    """Contents of its files, by path."""
    service = ensure.service if isinstance(ensure, K3sService) else ensure
    assert isinstance(service, Service)
    return {file.path: str(file.content) for file in service.files}


def k3s_config(found: dict[str, Any], step: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(texts(found[step])["/etc/rancher/k3s/config.yaml"])
    return loaded


def test_everything_in_ipv6() -> None:
    found = checks(site(IPV6))
    server = k3s_config(found, f"{SERVER}/servers/k3s")
    assert server["node-ip"] == "fd00::54"
    assert server["tls-san"] == ["fd00::118"]
    agent = k3s_config(found, f"{AGENT}/agents/k3s")
    assert agent["server"] == "https://[fd00::118]:6443"
    access = found[f"{DATASTORE}/datastore/access"]
    assert isinstance(access, Access)
    assert re.findall(r"fd00::\d+/\d+", access.block()) == ["fd00::54/128", "fd00::154/128"]
    entry = found[f"{SERVER}/servers/hosts-entry"]
    assert isinstance(entry, Block) and entry.body == "fd00::212 postgres.rancher.rke2\n"
    proxy = texts(found["nginx/loadbalancer/service"])[CONFIG_PATH]
    assert "listen [::]:6443 ipv6only=on" in proxy
    assert re.findall(r"server (\S+) max", proxy) == ["[fd00::54]:6443", "[fd00::154]:6443"]
    settings = found[f"{DATASTORE}/datastore/settings"]
    assert isinstance(settings, Settings)
    assert "fd00::212" in settings.wanted(SettingsState())["listen_addresses"]
    certificate = found[f"{DATASTORE}/datastore/certificate"]
    assert isinstance(certificate, HostCertificate)
    assert certificate.profile.addresses == ("fd00::212",)
    node = found[f"{AGENT}/verification/node"]
    assert isinstance(node, NodeReady) and node.addresses == ("fd00::196",)
    balance = found["nginx/verification/every-server-answers"]
    assert isinstance(balance, EveryServerAnswers)
    assert balance.url == "https://[fd00::118]:6443" and "[fd00::54]:6443" in balance.upstreams
    sessions = found[f"{DATASTORE}/verification/tls-sessions"]
    assert isinstance(sessions, Sessions)
    assert sessions.server_addresses == ("fd00::54", "fd00::154")


def test_no_text_has_an_address_with_a_port_and_no_brackets() -> None:
    """`fd00::54:6443` is an address too, and another one."""
    for ensure in checks(site(IPV6)).values():
        shown = repr(ensure)
        for port in (22, 5432, 6443):
            assert not re.search(rf"fd00::\d+:{port}\b", shown), shown


def test_the_datastore_by_its_address_has_brackets_in_the_dsn() -> None:
    here = site(changed(IPV6, datastore={"hostname": "fd00::212"}))
    assert urlsplit(servers._endpoint(here).reveal()).hostname == "fd00::212"


def test_both_families() -> None:
    found = checks(site(BOTH))
    for step in (f"{SERVER}/servers/k3s", f"{SECOND}/servers/k3s"):
        config = k3s_config(found, step)
        assert config["cluster-cidr"] == "10.42.0.0/16,fd00:42::/56"
        assert config["tls-san"] == ["10.161.129.118", "fd00::118"]
    assert k3s_config(found, f"{AGENT}/agents/k3s")["node-ip"] == "10.161.129.196,fd00::196"
    certificate = found[f"{DATASTORE}/datastore/certificate"]
    assert isinstance(certificate, HostCertificate)
    assert certificate.profile.addresses == ("10.161.129.212", "fd00::212")
    proxy = texts(found["nginx/loadbalancer/service"])[CONFIG_PATH]
    assert "listen [::]:6443" in proxy and "server 10.161.129.54:6443" in proxy
    node = found[f"{AGENT}/verification/node"]
    assert node.addresses == ("10.161.129.196", "fd00::196")


def test_a_datastore_of_both_is_reached_by_the_family_there_is_a_way_for() -> None:
    """Servers in IPv6 only, beside a datastore that prefers IPv4."""
    entry = HostEntry(address="db", node_ip="10.0.0.9,fd00::212", roles=["datastore"])
    profile = with_host(DATASTORE, entry, IPV6)
    found = checks(site(profile))
    assert found[f"{SERVER}/servers/hosts-entry"].body == "fd00::212 postgres.rancher.rke2\n"
    assert "hostssl k3s k3s fd00::54/128" in found[f"{DATASTORE}/datastore/access"].block()
    assert list(written.access(profile)) == [
        line
        for line in found[f"{DATASTORE}/datastore/access"].block().splitlines()
        if not line.startswith("#")
    ]


def test_another_spelling_is_the_same_address() -> None:
    here = site(with_node_ip(SERVER, "FD00:0::0054", IPV6))
    assert here.address(SERVER) == "fd00::54"
    assert "fd00::54" in peers_of(here.profile)
    assert k3s_config(checks(here), f"{SERVER}/servers/k3s")["node-ip"] == "fd00::54"


def test_a_load_balancer_without_ipv6_still_starts() -> None:
    """Before nodes of both families: nginx gives up at an address that its kernel does not know."""
    entry = HostEntry(address="10.161.129.118", roles=["loadbalancer"])
    facts = {"addresses": (("lo", "127.0.0.1"), ("eth0", "10.161.129.118"))}
    found = checks(site(with_host("nginx", entry, BOTH), facts={"nginx": facts}))
    assert "[::]" not in texts(found["nginx/loadbalancer/service"])[CONFIG_PATH]


def rule(name: str, here: Site, host: str) -> str:
    rules = {"families": networks.same_families, "routes": networks.routes}
    problem = (rules | {"lasting": networks.lasting_addresses})[name](here, host)
    return problem.text if problem else ""


@pytest.mark.parametrize("profile", [HOW_TO, IPV6, BOTH])
def test_what_goes_together_passes(profile: Profile) -> None:
    here = site(profile)
    for host in profile.hosts:
        assert not any(rule(name, here, host) for name in ("families", "routes", "lasting"))


def test_a_host_of_another_family_that_has_a_name_in_the_profile() -> None:
    profile = with_host(SECOND, HostEntry(address="two.example.org", roles=["server"]))
    own = {"addresses": (("eth0", "fd00::154"),), "route_sources": {}}
    here = site(profile, facts={SECOND: own})
    assert rule("families", here, SECOND) == (
        f"its first address is IPv6, and that of {SERVER} is IPv4"
    )
    ranges = changed(profile, k3s={"server_config": {"cluster-cidr": "10.0.0.0/16,fd01::/56"}})
    assert "it has no IPv4 address" in rule("families", site(ranges, facts={SECOND: own}), SECOND)


@pytest.mark.parametrize(
    ("host", "routes", "says"),
    [
        (SERVER, {"fd00::212": None}, "it has no route to postgres (fd00::212)"),
        (AGENT, {"fd00::118": None}, "it has no route to the load balancer (fd00::118)"),
        (AGENT, {"fd00::212": None}, ""),
        ("nginx", {"fd00::154": None}, "it has no route to k3s-server-2 (fd00::154)"),
        (SERVER, {"fd00::212": "fe80::1"}, "from fe80::1, which means something on one link"),
    ],
)
def test_ways_that_are_not_there(host: str, routes: dict[str, str | None], says: str) -> None:
    usual = site(IPV6).facts[host].route_sources
    here = site(IPV6, facts={host: {"route_sources": {**usual, **routes}}})
    told = rule("routes", here, host)
    assert told == says if not says else says in told


def test_an_address_that_is_replaced_tomorrow() -> None:
    usual = site(IPV6).facts[SERVER].route_sources
    temporary = "fd00::5eed"
    facts = {
        "route_sources": {**usual, "fd00::212": temporary},
        "temporary_addresses": frozenset({temporary}),
    }
    assert temporary in rule("lasting", site(IPV6, facts={SERVER: facts}), SERVER)


def test_facts_of_ipv6() -> None:
    found: Facts = parse(
        b"address 2: eth0    inet6 fd00::5eed/64 scope global temporary dynamic \\ valid_lft 9sec\n"
        b"address 2: eth0    inet6 fd00::54/64 scope global mngtmpaddr dynamic \\ valid_lft 9sec\n"
        b"route fd00::212 fd00::212 from :: dev eth0 proto kernel src fd00::54 metric 256\n"
        b"route fd00::9 unreachable fd00::9 from :: dev lo src fd00::54 metric 1024 error -113\n"
    )
    assert found.temporary_addresses == {"fd00::5eed"}
    assert dict(found.route_sources) == {"fd00::212": "fd00::54", "fd00::9": None}


def test_ssh_goes_there() -> None:
    there = target(SERVER, IPV6.ssh, IPV6.hosts, {})
    assert isinstance(there, Target) and there.address == "fd00::54"
    hop = parse_jump("ops@[fd00::9]:2222,inner@[fd00::8]")
    assert (hop.address, hop.port, hop.user) == ("fd00::8", None, "inner")
    assert hop.jump is not None and (hop.jump.address, hop.jump.port) == ("fd00::9", 2222)
    place = endpoint("fd00::54", 22)
    hint = reasons.refused(host="h", user="ops", place=place, keys=1, explicit=None).hint
    assert hint.endswith("`ssh-copy-id -p 22 ops@fd00::54`")
