"""A profile that was edited: what may change changes alone, what may not refuses the run."""

from __future__ import annotations

import subprocess

import pytest
import tomlkit

from . import releases
from .lab import Lab
from .operators import changes, edit, lock_file, snapshot
from .product import Done, Product
from .test_refusals import listener, shim

AGENT = "k3s-agent"
SERVERS = ("k3s-server-1", "k3s-server-2")


def starts(lab: Lab) -> dict[str, str]:
    """When each unit that matters began, by host and unit."""
    units = "postgresql@15-main k3s k3s-agent k3s-tui-lb"
    script = f"systemctl show -p Id,InvocationID {units}"
    found = {}
    for name, host in lab.containers.items():
        for block in host.sh(script).split("\n\n"):
            said = dict(line.partition("=")[::2] for line in block.splitlines())
            if said.get("InvocationID"):
                found[f"{name}/{said['Id']}"] = said["InvocationID"]
    return found


def restarted(lab: Lab, before: dict[str, str]) -> set[str]:
    """The units that have begun anew since `starts` said this."""
    after = starts(lab)
    return {name for name in after if after[name] != before[name]}


def applied(product: Product) -> Done:
    done = product.apply()
    assert done.status == 0, done
    return done


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """A cluster of one server, without the agent; only known_hosts vouches for the hosts."""
    product = Product(bare_hosts, tmp_path_factory.mktemp("operator"), pin=False)
    known = product.home / ".ssh" / "known_hosts"
    known.parent.mkdir(mode=0o700)
    keys = bare_hosts.host_keys
    known.write_text("".join(f"{at} {keys[name]}\n" for name, at in bare_hosts.addresses.items()))
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"][AGENT]
    del document["hosts"][SERVERS[1]]
    product.profile.write_text(tomlkit.dumps(document))
    assert product.init().status == 0
    applied(product)
    return product


def test_what_known_hosts_vouched_for_is_pinned_once(product: Product) -> None:
    lock = lock_file(product)
    pinned = tomlkit.parse(lock.read_text())["host-keys"]
    keys = product.lab.host_keys
    assert pinned == {name: keys[name] for name in (SERVERS[0], "nginx", "postgres")}
    before = lock.stat()
    assert not applied(product).steps("changed")
    assert (lock.stat().st_ino, lock.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_server_that_is_added_is_let_in_and_nothing_restarts(product: Product) -> None:
    lab, new = product.lab, SERVERS[1]
    before = starts(lab)
    with product.profile.open("a") as file:
        file.write(f'\n[hosts.{new}]\naddress = "{lab.addresses[new]}"\nroles = ["server"]\n')
    done = applied(product)
    changed = {step for step in done.steps("changed") if not step.startswith(f"{new}/")}
    assert changed == {"postgres/datastore/access", "nginx/loadbalancer/service"}, changed
    assert {f"{new}/servers/certificate", f"{new}/servers/k3s"} <= done.steps("changed")
    after = starts(lab)
    assert {name: start for name, start in after.items() if new not in name} == before
    assert f"{new}/k3s.service" in after
    rules = lab.host("postgres").sh("cat /etc/postgresql/*/main/pg_hba.conf")
    proxy = lab.host("nginx").sh("cat /etc/nginx/k3s-tui-lb.conf")
    for name in SERVERS:
        assert f"hostssl k3s k3s {lab.addresses[name]}/32 scram-sha-256" in rules, rules
        assert f"server {lab.addresses[name]}:6443 " in proxy, proxy
    assert not applied(product).steps("changed")


def test_an_agent_that_is_added_is_all_that_changes(product: Product) -> None:
    before = starts(product.lab)
    with product.profile.open("a") as file:
        file.write('\n[hosts.k3s-agent]\naddress = "10.161.129.196"\nroles = ["agent"]\n')
    done = applied(product)
    changed = done.steps("changed")
    assert changed and {step.split("/")[0] for step in changed} == {AGENT}, changed
    after = starts(product.lab)
    assert {name: start for name, start in after.items() if AGENT not in name} == before
    assert f"{AGENT}/k3s-agent.service" in after


def test_another_name_of_the_api_restarts_the_servers_and_nothing_else(product: Product) -> None:
    before = starts(product.lab)
    edit(product, "tls-san = []", 'tls-san = ["api.example.org"]')
    done = applied(product)
    assert {s for s in done.steps("changed") if s.endswith("/servers/k3s")} == {
        f"{name}/servers/k3s" for name in SERVERS
    }
    assert restarted(product.lab, before) == {f"{name}/k3s.service" for name in SERVERS}
    assert not applied(product).steps("changed")


def test_another_name_of_the_database_restarts_nothing(product: Product) -> None:
    before = starts(product.lab)
    edit(product, "datastore-san = []", 'datastore-san = ["db.example.org"]')
    done = applied(product)
    # The settings are as they were: that step has PostgreSQL read the new file.
    assert done.steps("changed") == {f"postgres/datastore/{k}" for k in ("certificate", "settings")}
    served = product.lab.host(SERVERS[0]).sh(
        "openssl s_client -connect 10.161.129.212:5432 -starttls postgres </dev/null 2>/dev/null"
        " | openssl x509 -noout -ext subjectAltName"
    )
    assert "DNS:db.example.org" in served and "DNS:postgres.rancher.rke2" in served, served
    assert starts(product.lab) == before
    assert not applied(product).steps("changed")


def refused(product: Product, text: str, *says: str) -> Done:
    """Apply `text` as the profile: exit 5, all of `says` in what the plan calls problems, and
    nothing is touched.
    """
    before, there, units = product.profile.read_text(), snapshot(product.lab), starts(product.lab)
    product.profile.write_text(text)
    try:
        done = product.apply()
    finally:
        product.profile.write_text(before)
    assert done.status == 5, done
    told = [event["summary"] for event in done.of("planned", verdict="problem")]
    for expected in says:
        assert any(expected in text for text in told), done
    # The cluster runs, and writes into its database and its own folder.
    assert not [c for c in changes(there, snapshot(product.lab)) if ":/etc/" in c]
    assert starts(product.lab) == units
    return done


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('database = "k3s"', 'database = "another"', "datastore.database (k3s there, another"),
        # Another port is another PostgreSQL, and an empty one.
        ('database = "k3s"', 'port = 5433\ndatabase = "k3s"', "datastore.port (5432 there, 5433"),
        (
            'database = "k3s"',
            'cluster = "own"\nport = 5433\ndatabase = "k3s"',
            "datastore.port (5432 there, 5433 wanted)",
        ),
        ('user = "k3s"', 'user = "another"', "datastore.user (k3s there, another wanted)"),
        ("postgres.rancher.rke2", "db.example.org", "datastore.hostname (postgres.rancher.rke2"),
        ("tls-san = [", 'server-config.cluster-cidr = "10.99.0.0/16"\ntls-san = [', "cluster-cidr"),
    ],
)
def test_what_cannot_be_changed_is_named_and_nothing_is_touched(
    product: Product, old: str, new: str, says: str
) -> None:
    text = product.profile.read_text()
    if "server-config" in new:
        text = text.replace("[k3s.server-config]\n", "")
    assert text.count(old) == 1, old
    done = refused(product, text.replace(old, new), says)
    told = done.of("planned", verdict="problem")
    # That database is not there, and another one is in use: so says its own host.
    by_host = ("does not hold the cluster", "keeps its database k3s for another cluster")
    told = [event for event in told if not any(text in event["summary"] for text in by_host)]
    assert all("cannot be changed in a cluster" in event["summary"] for event in told), told
    assert {event["host"] for event in told} == set(SERVERS)


def test_another_version_is_refused(product: Product) -> None:
    pinned = releases.offered_version()
    text = product.profile.read_text()
    assert text.count(pinned) == 1
    another = text.replace(pinned, "v1.33.1+k3s1")
    refused(product, another, f"it has K3s {pinned}", "and the profile pins v1.33.1+k3s1")


def test_another_address_of_an_agent_is_refused(product: Product) -> None:
    old = "[hosts.k3s-agent]\n"
    text = product.profile.read_text().replace(old, f'{old}node-ip = "10.161.129.197"\n')
    refused(product, text, "node-ip (10.161.129.196 there, 10.161.129.197 wanted)")


def test_another_name_of_an_agent_is_refused(product: Product) -> None:
    """Its key is pinned by its name, so it is one that nobody knows; then the host itself says."""
    text = product.profile.read_text().replace("[hosts.k3s-agent]", "[hosts.worker]")
    lock = lock_file(product)
    pins = lock.read_text()
    line = next(line for line in pins.splitlines() if line.startswith("k3s-agent ="))
    lock.write_text(pins.replace(line, f"{line}\n{line.replace('k3s-agent', 'worker')}"))
    try:
        refused(
            product,
            text,
            "k3s-agent (now called worker in the profile)",
            "node-name (k3s-agent there, worker wanted)",
        )
    finally:
        lock.write_text(pins)


@pytest.mark.parametrize("name", [AGENT, SERVERS[0]])
def test_a_host_that_was_taken_out_is_noticed(product: Product, name: str) -> None:
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"][name]
    says = f"not in the profile any more, and still in the cluster: {name}"
    done = refused(product, tomlkit.dumps(document), says)
    told = done.of("planned", verdict="problem")
    assert {event["host"] for event in told} == set(SERVERS) - {name}, told


def test_a_datastore_elsewhere_is_refused(product: Product) -> None:
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"]["postgres"]
    document["hosts"]["nginx"]["roles"] = ["loadbalancer", "datastore"]
    there = "the datastore's address (10.161.129.212 there, 10.161.129.118 wanted)"
    refused(product, tomlkit.dumps(document), there)


def test_a_datastore_where_a_dns_may_lead_is_refused_when_it_is_empty(product: Product) -> None:
    """Nothing that the servers have says where it is: the datastore itself has to."""
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"]["postgres"]
    document["hosts"]["nginx"]["roles"] = ["loadbalancer", "datastore"]
    document["datastore"]["hosts-entry"] = "never"
    says = "database k3s does not hold the cluster that k3s-server-1, k3s-server-2 belong to"
    done = refused(product, tomlkit.dumps(document), says)
    (told,) = done.of("planned", step="nginx/preflight/cluster-is-there")
    assert "restore it" in told["hint"]


def test_a_datastore_of_ours_does_not_become_one_of_theirs(product: Product) -> None:
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"]["postgres"], document["pki"]
    document["datastore"]["mode"] = "existing"
    document["datastore"]["ca"] = "datastore-ca.pem"
    ca = product.lab.host(SERVERS[0]).sh("cat /etc/k3s-tui/datastore/ca.crt")
    (product.folder / "datastore-ca.pem").write_text(ca)
    refused(product, tomlkit.dumps(document), "datastore.mode (managed there, existing wanted)")


def test_another_ca_is_refused(product: Product) -> None:
    """All at once, the servers and PostgreSQL would not trust each other."""
    words = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=another"
    command = ["openssl", "req", *words.split(), "-keyout", "ca.key", "-out", "ca.pem"]
    subprocess.run(command, cwd=product.folder, check=True, capture_output=True)
    (product.folder / "ca.key").chmod(0o600)
    document = tomlkit.parse(product.profile.read_text())
    document["pki"] = {"mode": "bring-your-own", "ca": "ca.pem", "ca-key": "ca.key"}
    done = refused(product, tomlkit.dumps(document), "CA cannot be replaced", "CN=another wanted")
    told = {event["step"] for event in done.of("planned", verdict="problem")}
    assert told == {f"{name}/preflight/datastore-ca" for name in SERVERS}


def test_after_the_refusals_nothing_is_to_be_changed(product: Product) -> None:
    assert not applied(product).steps("changed")


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("k3s.agent-token", "agent-token (it has another value)"),
        ("k3s.token", "holds another cluster's data: it was made with another token"),
    ],
)
def test_a_token_of_another_cluster_is_refused(product: Product, secret: str, says: str) -> None:
    store = product.profile.with_suffix(".secrets")
    before = store.read_bytes()
    argv = product.command("secret", "set", product.profile, secret)
    done = product.lab.run(argv, env=product.environment, stdin=b"another-token-0123456789")
    assert done.returncode == 0, done
    try:
        refused(product, product.profile.read_text(), says)
    finally:
        store.write_bytes(before)


def test_a_port_that_is_taken_meanwhile_is_taken_back(product: Product) -> None:
    """After the look at it, before nginx: the load balancer goes on with the port of before, and so
    do all.
    """
    lab, before = product.lab, product.profile.read_text()
    nginx, there = lab.host("nginx"), starts(lab)
    document = tomlkit.parse(before)
    document["loadbalancer"]["port"] = 7443
    product.profile.write_text(tomlkit.dumps(document))
    take = f'case "$*" in "reload k3s-tui-lb.service")\n{listener(7443)};;\nesac\n'
    nginx.sh(shim("systemctl", f'{take}exec /usr/bin/systemctl "$@"'))
    try:
        done = product.apply()
    finally:
        nginx.sh("rm /usr/local/bin/systemctl; systemctl stop squatter.service")
        product.profile.write_text(before)
    assert done.status == 1, done
    (event,) = done.of("step-done", outcome="failed")
    assert event["step"] == "nginx/loadbalancer/service", event
    assert event["error"].endswith("the files of before are back, and it runs on them"), event
    assert starts(lab) == there


def set_password(product: Product, password: str) -> None:
    argv = product.command("secret", "set", product.profile, "datastore.password")
    done = product.lab.run(argv, env=product.environment, stdin=password.encode())
    assert done.returncode == 0, done


def holders(lab: Lab, password: str) -> set[str]:
    """The servers whose configuration has this password."""
    secrets = "/etc/rancher/k3s/config.yaml.d/50-secrets.yaml"
    return {name for name in SERVERS if f":{password}@" in lab.host(name).sh(f"cat {secrets}")}


def test_another_password_of_the_database_reaches_every_server(product: Product) -> None:
    lab, before = product.lab, starts(product.lab)
    set_password(product, "another-password-1")
    plan = product.plan()
    assert plan.status == 0, plan
    (told,) = plan.of("planned", step="postgres/datastore/role")
    assert told["verdict"] == "change" and "set its password" in told["summary"], told
    assert "until their own steps restart them" in told["warning"], told
    assert "run it again" in told["hint"], told
    done = applied(product)
    assert {f"{name}/servers/k3s" for name in SERVERS} < done.steps("changed")
    assert {f"{name}/verification/node" for name in (*SERVERS, AGENT)} <= done.steps("ok")
    assert restarted(lab, before) == {f"{name}/k3s.service" for name in SERVERS}
    assert holders(lab, "another-password-1") == set(SERVERS)
    assert product.run("verify", product.profile).status == 0
    assert not applied(product).steps("changed")


def test_a_password_that_came_half_way_is_brought_to_its_end(product: Product) -> None:
    """PostgreSQL and the first server have it when the run ends."""
    lab, before = product.lab, starts(product.lab)
    set_password(product, "another-password-2")
    done = product.apply("--only", f"{SERVERS[0]}/servers/k3s")
    assert done.status == 0, done
    assert "postgres/datastore/role" in done.steps("changed"), done
    assert holders(lab, "another-password-2") == {SERVERS[0]}
    done = applied(product)
    assert "postgres/datastore/role" not in done.steps("changed"), done
    assert {s for s in done.steps("changed") if s.endswith("/k3s")} == {f"{SERVERS[1]}/servers/k3s"}
    assert restarted(lab, before) == {f"{name}/k3s.service" for name in SERVERS}
    assert holders(lab, "another-password-2") == set(SERVERS)
    assert product.run("verify", product.profile).status == 0
    assert not applied(product).steps("changed")


def test_another_registration_address_is_followed(product: Product) -> None:
    """The load balancer moves to the agent's host, and the one that was stays as it is."""
    lab = product.lab
    document = tomlkit.parse(product.profile.read_text())
    del document["hosts"]["nginx"]
    document["hosts"][AGENT]["roles"] = ["agent", "loadbalancer"]
    document["loadbalancer"]["address"] = lab.addresses[AGENT]
    document["loadbalancer"]["port"] = 7443
    product.profile.write_text(tomlkit.dumps(document))
    before = starts(lab)
    done = applied(product)
    new = f"https://{lab.addresses[AGENT]}:7443"
    wanted = [f"{AGENT}/k3s-agent.service", *(f"{name}/k3s.service" for name in SERVERS)]
    after = starts(lab)  # one unit is new: the load balancer that came
    assert sorted(name for name in before if after[name] != before[name]) == wanted
    assert f"server: {new}\n" in lab.host(AGENT).sh("cat /etc/rancher/k3s/config.yaml")
    assert new in product.profile.with_name("lab.kubeconfig").read_text()
    assert f"{AGENT}/verification/every-server-answers" in done.steps("ok")
    assert not applied(product).steps("changed")


def test_a_role_that_is_taken_from_a_host_that_stays_is_refused(product: Product) -> None:
    document = tomlkit.parse(product.profile.read_text())
    document["hosts"][AGENT]["roles"] = ["loadbalancer"]
    says = "it runs K3s as agent, and the profile does not make it a server or an agent any more"
    done = refused(product, tomlkit.dumps(document), says)
    (told,) = done.of("planned", verdict="problem")
    assert told["host"] == AGENT and "k3s-agent-uninstall.sh" in told["hint"], told
