"""The stand-in keeps K3s's contract, in a cluster made by hand on the lab's hosts."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import handmade
from .command import LabError
from .lab import Lab
from .releases import offered_version

_LB = "https://10.161.129.118:6443"

_MARKERS = (
    "Starting k3s v",
    "Configuring pgx database connection pooling",
    "Configuring database table schema and indexes",
    "Database tables and indexes are up to date",
    "Kine available at unix://kine.sock",
    "Bootstrap key locked for initial create",
    "Wrote kubeconfig",
    "Kube API server is now running",
    "k3s is up and running",
)


@pytest.fixture(scope="module")
def cluster(bare_hosts: Lab) -> Lab:
    """Two servers and an agent over PostgreSQL with mutual TLS behind nginx."""
    handmade.make_cluster(bare_hosts)
    _until(bare_hosts, "three nodes", lambda: len(_ready(bare_hosts)) == 3)
    return bare_hosts


def _until(lab: Lab, what: str, reached: Callable[[], object], within: float = 90.0) -> None:
    deadline = time.monotonic() + within
    while True:
        with suppress(LabError):  # an API whose database was restarted fails once
            if reached():
                return
        assert time.monotonic() < deadline, f"no {what} after {within:g} s: {_nodes(lab)}"
        time.sleep(0.3)


def _nodes(lab: Lab, server: str = "k3s-server-1") -> list[dict[str, Any]]:
    listed = json.loads(lab.host(server).sh("k3s kubectl get nodes -o json"))
    items: list[dict[str, Any]] = listed["items"]
    return items


def _ready(lab: Lab, server: str = "k3s-server-1") -> set[str]:
    return {
        node["metadata"]["name"]
        for node in _nodes(lab, server)
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready" and condition["status"] == "True"
    }


def _curl(lab: Lab, *words: str) -> str:
    return lab.run(["curl", "-sS", "-m", "10", *words], check=True).stdout.decode()


def _journal(lab: Lab, host: str, unit: str) -> str:
    return lab.host(host).sh(f"journalctl -u {unit} -o cat --no-pager")


def test_nodes(cluster: Lab) -> None:
    found = {node["metadata"]["name"]: node for node in _nodes(cluster, "k3s-server-2")}
    assert _ready(cluster, "k3s-server-2") == {"k3s-server-1", "k3s-server-2", "k3s-agent"}
    for name, node in found.items():
        addresses = {a["type"]: a["address"] for a in node["status"]["addresses"]}
        assert addresses == {"InternalIP": cluster.addresses[name], "Hostname": name}
        version = node["status"]["nodeInfo"]["kubeletVersion"]
        assert version == f"{offered_version()}-standin"
        control_plane = "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
        assert control_plane == name.startswith("k3s-server")
    assert found["k3s-agent"]["metadata"]["labels"]["pool"] == "general"
    table = cluster.host("k3s-server-1").sh("kubectl get nodes").splitlines()
    assert table[0].split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert table[1].split()[:3] == ["k3s-agent", "Ready", "<none>"]
    assert all("standin" in line for line in table[1:])


def test_journal_markers_come_in_order(cluster: Lab) -> None:
    journal = _journal(cluster, "k3s-server-1", "k3s")
    places = [journal.find(marker) for marker in _MARKERS]
    assert -1 not in places and places == sorted(places)
    assert "Reconciling bootstrap data" in _journal(cluster, "k3s-server-2", "k3s")


def test_what_the_api_tells_whom(cluster: Lab) -> None:
    assert _curl(cluster, "-k", f"{_LB}/ping") == "pong"
    for path in ("readyz", "livez", "healthz", "version", "api/v1/nodes", "v1-k3s/readyz"):
        assert _curl(cluster, "-k", "-o/dev/null", "-w%{http_code}", f"{_LB}/{path}") == "401"
    login = f"node:{handmade.AGENT_TOKEN}"
    assert _curl(cluster, "-k", "-u", login, f"{_LB}/v1-k3s/readyz") == "ok"
    wrong = _curl(cluster, "-k", "-u", "node:x", "-w%{http_code}", f"{_LB}/v1-k3s/readyz")
    assert wrong.endswith("401")


def test_the_servers_share_one_authority(cluster: Lab) -> None:
    both = {
        _curl(cluster, "-k", f"https://{s.host.address}:6443/cacerts")
        for s in cluster.of_role("server")
    }
    assert len(both) == 1
    for server in cluster.of_role("server"):
        token = server.sh("cat /var/lib/rancher/k3s/server/token").strip()
        digest = server.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt").split()[0]
        assert token == f"K10{digest}::server:{handmade.TOKEN}"


def test_an_outside_client_through_the_load_balancer(cluster: Lab, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.host("k3s-server-1").sh("cat /etc/rancher/k3s/k3s.yaml"))
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    parts = {**config["clusters"][0]["cluster"], **config["users"][0]["user"]}
    for name in ("certificate-authority", "client-certificate", "client-key"):
        (tmp_path / name).write_bytes(base64.b64decode(parts[f"{name}-data"]))
    words = [f"--cacert={tmp_path}/certificate-authority", f"--cert={tmp_path}/client-certificate"]
    words = [word for pair in words for word in pair.split("=")]
    listed = json.loads(
        _curl(cluster, *words, "--key", str(tmp_path / "client-key"), f"{_LB}/api/v1/nodes")
    )
    assert len(listed["items"]) == 3


def test_files_and_modes(cluster: Lab) -> None:
    server, agent = cluster.host("k3s-server-1"), cluster.host("k3s-agent")
    expected = {
        "/etc/systemd/system/k3s.service": "644 root",
        "/etc/systemd/system/k3s.service.env": "600 root",
        "/etc/rancher/k3s/k3s.yaml": "600 root",
        "/etc/rancher/node/password": "600 root",
        "/usr/local/bin/k3s": "755 root",
        "/var/lib/rancher/k3s/server/token": "600 root",
        "/var/lib/rancher/k3s/server/agent-token": "600 root",
        "/var/lib/rancher/k3s/server/tls/server-ca.crt": "644 root",
        "/var/lib/rancher/k3s/server/tls/server-ca.key": "600 root",
    }
    seen = server.sh(f"stat -c '%n %a %U' {' '.join(expected)}").splitlines()
    assert seen == [f"{path} {mode}" for path, mode in expected.items()]
    links = server.sh("cd /usr/local/bin; readlink kubectl crictl ctr").split()
    assert links == ["k3s"] * 3
    unit = server.sh("systemctl cat k3s")
    for line in (
        "Type=notify",
        "KillMode=process",
        "Delegate=yes",
        "Restart=always",
        "RestartSec=5s",
    ):
        assert f"\n{line}\n" in unit
    assert server.sh("systemctl is-enabled k3s; systemctl is-active k3s") == "enabled\nactive\n"
    agent.sh(
        "test -x /usr/local/bin/k3s-agent-uninstall.sh && test -x /usr/local/bin/k3s-killall.sh"
    )
    known = json.loads(agent.sh("cat /var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json"))
    assert sorted(known["ServerAddresses"]) == ["10.161.129.154:6443", "10.161.129.54:6443"]


def test_the_datastore_sees_tls_from_the_servers_only(cluster: Lab) -> None:
    query = (
        "select host(client_addr), ssl, client_dn"
        " from pg_stat_activity join pg_stat_ssl using (pid)"
        " where datname = 'k3s' and client_addr is not null order by 1"
    )
    seen = cluster.host("postgres").sh(f'cd /; runuser -u postgres -- psql -At -c "{query}"')
    assert seen.splitlines() == ["10.161.129.154|t|/CN=k3s", "10.161.129.54|t|/CN=k3s"]
    rows = "select count(*) from kine where name like '/bootstrap/%' and length(value) > 0"
    counted = cluster.host("postgres").sh(f'cd /; runuser -u postgres -- psql -At k3s -c "{rows}"')
    assert counted == "1\n"


def test_installing_again_changes_nothing(cluster: Lab) -> None:
    server = cluster.host("k3s-server-1")
    started = "systemctl show -p ActiveEnterTimestampMonotonic --value k3s"
    before = server.sh(started)
    said = handmade.install(server, "server")
    assert "installed k3s matches hash" in said and "No change detected" in said
    assert server.sh(started) == before


def test_certificate_files_are_read_at_the_start_only(cluster: Lab) -> None:
    server = cluster.host("k3s-server-2")
    handmade.give_client_files(cluster, server, "stranger")
    cluster.host("postgres").sh("systemctl restart postgresql")
    _until(cluster, "server 2", lambda: "k3s-server-2" in _ready(cluster))
    try:
        server.sh("systemctl restart --no-block k3s")
        failure = "Failed to ping database connection:.*28P01"
        _until(
            cluster,
            "refusal of the stranger",
            lambda: server.sh(f"journalctl -u k3s -o cat | grep -c '{failure}' || :") != "0\n",
        )
        assert server.sh("systemctl is-active k3s || :") == "activating\n"
    finally:
        handmade.give_client_files(cluster, server)
        server.sh("systemctl restart k3s")
    _until(cluster, "server 2", lambda: "k3s-server-2" in _ready(cluster))


def test_another_token_is_refused(cluster: Lab) -> None:
    server = cluster.host("k3s-server-2")
    handmade.configure_server(cluster, server, token="another-token")
    try:
        server.sh("systemctl restart --no-block k3s")
        said = "bootstrap data already found and encrypted with different token"
        count = f"journalctl -u k3s -o cat | grep -c '{said}' || :"
        _until(cluster, "fatal line", lambda: server.sh(count) != "0\n")
    finally:
        handmade.configure_server(cluster, server)
        server.sh("systemctl restart k3s")


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (f"K10{'0' * 64}::node:{handmade.AGENT_TOKEN}", "token CA hash does not match"),
        ("wrong", "401 Unauthorized"),
    ],
)
def test_an_agent_with_a_wrong_token_waits(cluster: Lab, token: str, says: str) -> None:
    agent = cluster.host("k3s-agent")
    kept = agent.sh("cat /etc/rancher/k3s/config.yaml")
    try:
        agent.sh("systemctl stop k3s-agent")
        handmade.join_agent(cluster, token=token)
        count = f"journalctl -u k3s-agent -o cat | grep -c '{says}' || :"
        _until(cluster, says, lambda: agent.sh(count) != "0\n")
        assert agent.sh("systemctl is-active k3s-agent || :") == "activating\n"
    finally:
        agent.sh(
            f"cat > /etc/rancher/k3s/config.yaml <<'EOF'\n{kept}EOF\nsystemctl restart k3s-agent"
        )


def test_a_foreign_node_password_is_rejected(cluster: Lab) -> None:
    agent = cluster.host("k3s-agent")
    try:
        agent.sh("cd /etc/rancher/node; cp -p password kept; echo other > password")
        agent.sh("systemctl restart --no-block k3s-agent")
        count = "journalctl -u k3s-agent -o cat | grep -c 'Node password rejected' || :"
        _until(cluster, "rejection", lambda: agent.sh(count) != "0\n")
    finally:
        agent.sh("cd /etc/rancher/node; mv kept password; systemctl restart k3s-agent")


def test_one_server_stopped(cluster: Lab) -> None:
    first = cluster.host("k3s-server-1")
    first.sh("systemctl stop k3s")
    try:
        assert _curl(cluster, "-k", f"{_LB}/ping") == "pong"
        left = {"k3s-server-2", "k3s-agent"}
        _until(cluster, "two nodes", lambda: _ready(cluster, "k3s-server-2") == left)
        with pytest.raises(LabError, match="was refused"):
            _nodes(cluster)
    finally:
        first.sh("systemctl start k3s")
    _until(cluster, "three nodes", lambda: len(_ready(cluster)) == 3)


def test_cordon_and_delete(cluster: Lab) -> None:
    server = cluster.host("k3s-server-1")
    server.sh("kubectl cordon k3s-agent")
    assert "SchedulingDisabled" in server.sh("kubectl get node k3s-agent")
    server.sh("kubectl uncordon k3s-agent && kubectl delete node k3s-agent")
    assert _ready(cluster) == {"k3s-server-1", "k3s-server-2"}
    cluster.host("k3s-agent").sh("systemctl restart k3s-agent")
    _until(cluster, "three nodes", lambda: len(_ready(cluster)) == 3)


def test_the_secret_of_the_environment_stays_out_of_the_unit(cluster: Lab) -> None:
    agent = cluster.host("k3s-agent")
    said = agent.sh(
        "curl -sfL https://get.k3s.io | INSTALL_K3S_NAME=other INSTALL_K3S_SKIP_ENABLE=true "
        f"INSTALL_K3S_VERSION={offered_version()} K3S_URL={_LB} K3S_TOKEN=hush "
        'sh -s - --node-label "a=it\'s" 2>&1'
    )
    assert "k3s-other.service" in said
    unit = agent.sh("cat /etc/systemd/system/k3s-other.service")
    assert "\n\tagent \\\n\t'--node-label' \\\n\t'a=it'\\''s'\n" in unit and "hush" not in unit
    environment = agent.sh("cat /etc/systemd/system/k3s-other.service.env")
    assert sorted(environment.splitlines()) == ["K3S_TOKEN=hush", f"K3S_URL={_LB}"]
    assert "Additional k3s services" in agent.sh("k3s-other-uninstall.sh")
    agent.sh("systemctl start k3s-agent")


@pytest.mark.parametrize(
    ("environment", "arguments", "says"),
    [
        ("K3S_URL=http://x K3S_TOKEN=a", "", "Only https:// URLs are supported"),
        ("K3S_URL=https://x", "", "K3S_TOKEN or K3S_TOKEN_FILE is not defined"),
        ("INSTALL_K3S_VERSION=v1.0.0+k3s9", "server", "Download failed"),
        ("INSTALL_K3S_SKIP_DOWNLOAD=true INSTALL_K3S_BIN_DIR=/x", "server", "binary not found"),
    ],
)
def test_the_install_script_refuses(
    cluster: Lab, environment: str, arguments: str, says: str
) -> None:
    with pytest.raises(LabError, match=says):
        cluster.host("k3s-agent").sh(
            f"curl -sfL https://get.k3s.io > script; {environment} sh script {arguments}"
        )


def test_unknown_option(cluster: Lab) -> None:
    with pytest.raises(LabError, match="flag provided but not defined: -tokn"):
        cluster.host("k3s-server-1").sh("k3s server --tokn=a")


def test_uninstall(cluster: Lab) -> None:
    agent = cluster.host("k3s-agent")
    agent.sh("k3s-agent-uninstall.sh")
    left = agent.sh("ls -d /etc/rancher/* /var/lib/rancher/* /usr/local/bin/* 2>/dev/null || :")
    assert left.split() == ["/etc/rancher/node"]
    assert "k3s-agent" not in agent.sh("systemctl list-unit-files --no-legend")
