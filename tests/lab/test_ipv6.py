"""From bare hosts to a cluster where hosts reach each other in IPv6 only, and in both families."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomlkit
import yaml

from . import network
from .lab import Lab
from .operators import changes, snapshot
from .product import Done, Product
from .topology import HOSTS

pytestmark = pytest.mark.skipif(not network.has_ipv6(), reason="the kernel has no IPv6")

SIX = {host.name: host.address6 for host in HOSTS}
FOUR = {host.name: host.address for host in HOSTS}
SERVERS = ("k3s-server-1", "k3s-server-2")
NODES = (*SERVERS, "k3s-agent")
BOTH_RANGES = {
    "cluster-cidr": "10.42.0.0/16,fd00:42::/56",
    "service-cidr": "10.43.0.0/16,fd00:43::/112",
}


def operator(
    lab: Lab,
    folder: Path,
    addresses: dict[str, str],
    *,
    also: dict[str, str] | None = None,
    ranges: dict[str, str] | None = None,
    pin: bool = True,
) -> Product:
    """The lab's profile at other addresses; `also` are the nodes' second ones."""
    product = Product(lab, folder, pin=pin)
    document = tomlkit.parse(product.profile.read_text())
    for name, address in addresses.items():
        host = document["hosts"][name]
        host["address"] = address
        if also and name in also:
            host["node-ip"] = f"{address},{also[name]}"
    document["loadbalancer"]["address"] = addresses["nginx"]
    for key, value in (ranges or {}).items():
        document["k3s"].setdefault("server-config", {})[key] = value
    product.profile.write_text(tomlkit.dumps(document))
    return product


def internal_addresses(lab: Lab) -> dict[str, list[str]]:
    """What the cluster says of its nodes."""
    said = json.loads(lab.host(SERVERS[0]).sh("k3s kubectl get nodes -o json"))
    return {
        node["metadata"]["name"]: [
            a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"
        ]
        for node in said["items"]
    }


def test_both_families(bare_hosts: Lab, tmp_path: Path) -> None:
    product = operator(bare_hosts, tmp_path, FOUR, also=SIX, ranges=BOTH_RANGES)
    assert product.init().status == 0
    done = product.apply()
    assert done.status == 0, done
    assert internal_addresses(bare_hosts) == {name: [FOUR[name], SIX[name]] for name in NODES}
    lab = product.lab
    assert "listen [::]:6443" in lab.host("nginx").sh("cat /etc/nginx/k3s-tui-lb.conf")
    ca = "/var/lib/rancher/k3s/server/tls/server-ca.crt"
    answer = f"curl -s --cacert {ca} https://[{SIX['nginx']}]:6443/ping"
    assert lab.host(SERVERS[0]).sh(answer) == "pong"
    again = product.apply()
    assert again.status == 0, again
    assert not again.steps("changed"), again


@pytest.fixture(scope="module")
def ipv6_only(lab: Lab) -> Iterator[Lab]:
    """Bare hosts whose IPv4 leads to the lab's downloads and nowhere else."""
    lab.fresh()
    network.without_ipv4()
    try:
        yield lab
    finally:
        network.with_ipv4()


@pytest.fixture(scope="module")
def product(ipv6_only: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    product = operator(ipv6_only, tmp_path_factory.mktemp("six"), SIX)
    assert product.init().status == 0
    return product


def test_hosts_do_not_reach_each_other_in_ipv4(ipv6_only: Lab) -> None:
    got = ipv6_only.host("k3s-agent").sh(
        f"timeout 3 bash -c ': </dev/tcp/{FOUR['postgres']}/22' 2>&1 && echo in || echo out"
    )
    assert got.split()[-1] == "out", got


@pytest.fixture(scope="module")
def cluster(product: Product) -> Done:
    done = product.apply()
    assert done.status == 0, done
    return done


@pytest.mark.usefixtures("cluster")
class TestIPv6Only:
    def test_everything_was_proved(self, cluster: Done) -> None:
        for name in SERVERS:
            assert f"{name}/verification/datastore-login" in cluster.steps("ok")
            assert f"{name}/verification/refuses-plain-tcp" in cluster.steps("ok")
        assert "nginx/verification/every-server-answers" in cluster.steps("ok")

    def test_a_second_run_changes_nothing(self, product: Product) -> None:
        again = product.apply()
        assert again.status == 0, again
        assert not again.steps("changed"), again

    def test_what_was_written(self, product: Product) -> None:
        lab = product.lab
        kubeconfig = yaml.safe_load(product.profile.with_name("lab.kubeconfig").read_text())
        url = kubeconfig["clusters"][0]["cluster"]["server"]
        assert url == f"https://[{SIX['nginx']}]:6443"
        rules = lab.host("postgres").sh("cat /etc/postgresql/*/main/pg_hba.conf")
        for name in SERVERS:
            assert f"hostssl k3s k3s {SIX[name]}/128 scram-sha-256" in rules, rules
        proxy = lab.host("nginx").sh("cat /etc/nginx/k3s-tui-lb.conf")
        assert "listen [::]:6443 ipv6only=on" in proxy
        assert all(f"server [{SIX[name]}]:6443 " in proxy for name in SERVERS), proxy
        hosts = lab.host(SERVERS[0]).sh("cat /etc/hosts")
        assert f"{SIX['postgres']} postgres.rancher.rke2" in hosts
        assert internal_addresses(lab) == {name: [SIX[name]] for name in NODES}

    def test_host_keys_are_told_and_found_as_ssh_writes_them(
        self, product: Product, tmp_path: Path
    ) -> None:
        stranger = operator(product.lab, tmp_path, SIX, pin=False)
        assert stranger.init().status == 0
        refused = stranger.plan()
        assert refused.status == 4, refused
        assert f"the host key of [{SIX['nginx']}]:22 is not known" in refused.out + refused.err
        known = stranger.home / ".ssh" / "known_hosts"
        known.parent.mkdir(mode=0o700)
        keys = product.lab.host_keys
        known.write_text("".join(f"{address} {keys[name]}\n" for name, address in SIX.items()))
        found = stranger.plan()
        # Now it looks at the hosts, and finds the cluster of another one's secrets.
        assert found.status == 5 and "is not known" not in found.out + found.err, found

    def test_the_kubeconfig_leads_to_the_cluster(self, product: Product) -> None:
        client = Path(__file__).with_name("api_client.py")
        kubeconfig = product.profile.with_name("lab.kubeconfig")
        done = product.lab.run(["python3", client, kubeconfig, "/api/v1/nodes"], check=True)
        assert len(json.loads(done.stdout)["items"]) == len(NODES)

    @pytest.mark.parametrize(
        ("ranges", "says"),
        [
            (
                {"cluster-cidr": "10.42.0.0/16", "service-cidr": "10.43.0.0/16"},
                'K3s does not start on "k3s-server-1": cluster-cidr is IPv4, and it has no IPv4',
            ),
            ({"service-cidr": "fd00:43::/64"}, "service-cidr fd00:43::/64 is too large"),
            (BOTH_RANGES, "cluster-cidr is IPv4 and IPv6, and it has no IPv4 address"),
        ],
    )
    def test_what_k3s_would_not_start_with_is_refused(
        self, product: Product, tmp_path: Path, ranges: dict[str, str], says: str
    ) -> None:
        wrong = operator(product.lab, tmp_path, SIX, ranges=ranges)
        before = snapshot(product.lab)
        done = wrong.apply()
        assert done.status == 3, done
        assert says in done.err + done.out, done
        assert not [c for c in changes(before, snapshot(product.lab)) if ":/etc/" in c]

    def test_a_second_family_comes_too_late(self, product: Product) -> None:
        """K3s cannot be given another family later: the plan says so, and touches nothing."""
        text = product.profile.read_text()
        document = tomlkit.parse(text)
        config = document["k3s"].setdefault("server-config", {})
        config["cluster-cidr"] = "fd00:42::/56,10.42.0.0/16"
        config["service-cidr"] = "fd00:43::/112,10.43.0.0/16"
        for name in NODES:
            document["hosts"][name]["node-ip"] = f"{SIX[name]},{FOUR[name]}"
        product.profile.write_text(tomlkit.dumps(document))
        try:
            done = product.apply()
        finally:
            product.profile.write_text(text)
        assert done.status == 5, done
        assert "cannot be changed in a cluster that is there" in done.out
        assert "cluster-cidr" in done.out and "node-ip" in done.out


def test_without_a_route_nothing_is_begun(ipv6_only: Lab, tmp_path: Path) -> None:
    """A datastore in the other family that no server has a way to."""
    product = operator(ipv6_only, tmp_path, SIX)
    document = tomlkit.parse(product.profile.read_text())
    document["hosts"]["postgres"]["node-ip"] = "198.51.100.7"
    product.profile.write_text(tomlkit.dumps(document))
    assert product.init().status == 0
    for host in ipv6_only.containers.values():
        host.sh("ip route delete default 2>/dev/null || :")
    done = product.apply()
    assert done.status == 5, done
    told = {event["step"]: event["summary"] for event in done.of("planned", verdict="problem")}
    for name in SERVERS:
        assert told[f"{name}/preflight/routes"] == "it has no route to postgres (198.51.100.7)"
