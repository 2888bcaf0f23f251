"""What the order of the steps promises, whatever the hosts are like."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from k3s_tui.core.contract import LAPTOP, Check, Step
from k3s_tui.core.secret import Secret
from k3s_tui.engine.graph import Steps, ordered
from k3s_tui.engine.plan import States, build
from k3s_tui.pki.adopt import Kept
from k3s_tui.procedure import cluster
from k3s_tui.procedure.adoption import Adoption
from k3s_tui.procedure.site import Site
from k3s_tui.profile.model import HostEntry, Profile
from k3s_tui.resources.block import Block
from k3s_tui.resources.certificate import TO_BE_ISSUED, HostCertificate
from k3s_tui.resources.download import Download
from k3s_tui.resources.file import File, FileState
from k3s_tui.resources.k3s.nodes import NodeReady
from k3s_tui.resources.k3s.service import K3sService
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.postgres.cluster import ClusterState
from k3s_tui.resources.postgres.served_key import ServedKey
from k3s_tui.resources.postgres.settings import Settings
from k3s_tui.resources.postgres.standing import Standing
from k3s_tui.resources.published import FirstSum, FirstSumState, PublishedSum
from k3s_tui.resources.service import Service, ServiceState
from k3s_tui.resources.unmendable import Unmendable
from k3s_tui.resources.unpinned import InDns
from tests.unit.k3s.kubeconfigs import kubeconfig
from tests.unit.procedure.sites import CANARY, HOW_TO, changed, site, with_host, with_node_ip

S1, S2, AGENT, DATASTORE, BALANCER = (
    "k3s-server-1",
    "k3s-server-2",
    "k3s-agent",
    "postgres",
    "nginx",
)

THREE_SERVERS = with_host("k3s-server-3", HostEntry(address="10.161.129.155", roles=["server"]))
TWO_AGENTS = with_host("k3s-agent-2", HostEntry(address="10.161.129.197", roles=["agent"]))
STARTED = 1_900_000_000
PUBLISHED, FIRST = "f" * 64, "e" * 64
"""SHA-256 of a file as its source says, and as the first node has it."""
SUMS = {"install.sh": "1" * 64, "k3s-amd64": "2" * 64}


class Written:
    """The steps for a site, by id, and what each rests on."""

    def __init__(self, site: Site) -> None:
        self.steps: Steps = cluster.build(site)
        self.by_id = {step.id: step for step in self.steps}

    def __getitem__(self, id: str) -> Step[Any]:
        return self.by_id[id]

    def rests_on(self, id: str) -> set[str]:
        """Ids of all that the step needs, directly or not."""
        found: set[str] = set()
        todo = [self[id]]
        while todo:
            for need in todo.pop().needs:
                if need.id not in found:
                    found.add(need.id)
                    todo.append(need)
        return found

    def checks(self) -> dict[str, Check[Any]]:
        """Every step's resource, built from what its needs would promise."""
        states = States()
        found: dict[str, Check[Any]] = {}
        for step in ordered(self.steps):
            found[step.id] = build(step, states)
            states.put(step, _promised(step))
        return found


def _promised(step: Step[Any]) -> Any:
    match step.id.split("/")[-1]:
        case "cluster":
            folder = "/srv/pg/17"
            return ClusterState(
                running=True,
                version=170002,
                config_file=f"{folder}/postgresql.conf",
                hba_file=f"{folder}/hba/pg_hba.conf",
                data_directory=f"{folder}/data",
                unit="postgresql@17-main.service",
            )
        case "certificate":
            return TO_BE_ISSUED
        case "script" | "binary" | "datastore-ca" | "ca" if step.host is not LAPTOP:
            is_hash = step.id.endswith("servers/ca")
            return "c" * 64 if is_hash else FileState("file", "d" * 64, "0644", "root:root")
        case "published-script" | "published-binary":
            return FirstSumState(PUBLISHED)
        case "checksums":
            return dict.fromkeys(("install.sh", "k3s-amd64", "k3s-arm64"), FIRST)
        case "kubeconfig":
            return Secret(kubeconfig())
        case "k3s":
            return ServiceState("", (), "active", "enabled")
        case "started":
            return STARTED
        case _:
            return "looked at"


PROFILES: Mapping[str, Profile] = {
    "how-to": HOW_TO,
    "three servers": THREE_SERVERS,
    "two agents": TWO_AGENTS,
    "no agent": msgspec.structs.replace(
        HOW_TO, hosts={n: h for n, h in HOW_TO.hosts.items() if "agent" not in h.roles}
    ),
    "the datastore on a server": msgspec.structs.replace(
        HOW_TO,
        hosts={
            S1: HostEntry(address="10.161.129.54", roles=["server", "datastore"]),
            S2: HOW_TO.hosts[S2],
            BALANCER: HOW_TO.hosts[BALANCER],
        },
    ),
    "the load balancer on an agent": changed(
        msgspec.structs.replace(
            HOW_TO,
            hosts={
                **{n: h for n, h in HOW_TO.hosts.items() if n not in (AGENT, BALANCER)},
                BALANCER: HostEntry(address="10.161.129.118", roles=["agent", "loadbalancer"]),
            },
        ),
        loadbalancer={"port": 9443},
    ),
}


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> Profile:
    return PROFILES[request.param]


# -- the graph ------------------------------------------------------------------------------------


def test_it_is_a_graph_with_public_ids(profile: Profile) -> None:
    steps = cluster.build(site(profile))
    assert len(ordered(steps)) == len(steps)
    chapters = "preflight|packages|datastore|installation|servers|loadbalancer|agents|kubeconfig"
    for step in steps:
        first, chapter, *_ = step.id.split("/")
        assert first in profile.hosts or first == "laptop", step.id
        assert re.fullmatch(chapters, chapter), step.id
        assert re.fullmatch(r"[a-z0-9./-]+", step.id), step.id
        assert step.host is LAPTOP or step.host.name in profile.hosts


def test_datastore_and_load_balancer_on_one_host() -> None:
    both = HostEntry(address="10.161.129.118", roles=["datastore", "loadbalancer"])
    servers = {name: HOW_TO.hosts[name] for name in (S1, S2)}
    profile = msgspec.structs.replace(HOW_TO, hosts={**servers, BALANCER: both})
    assert Written(site(profile)).checks()


def test_every_node_is_looked_at_for_a_k3s_of_somebody_else(profile: Profile) -> None:
    ids = {step.id for step in cluster.build(site(profile))}
    assert {f"{name}/preflight/foreign-k3s" for name in profile.k3s_nodes} <= ids


def test_a_node_is_ready_in_the_start_that_was_made(profile: Profile) -> None:
    checks = Written(site(profile)).checks()
    ready = [check for check in checks.values() if isinstance(check, NodeReady)]
    assert len(ready) == len(profile.k3s_nodes)
    assert {check.since for check in ready} == {STARTED}


def test_a_preflight_waits_for_nothing(profile: Profile) -> None:
    """A problem of a step without needs refuses the run; with needs it would be waited for."""
    steps = [s for s in cluster.build(site(profile)) if "/preflight/" in s.id]
    assert steps and not [step.id for step in steps if step.needs]


def test_ids_stay_whatever_the_hosts_are_like() -> None:
    first = [step.id for step in cluster.build(site())]
    assert first == [step.id for step in cluster.build(site(recorded=SUMS))]
    old = {name: {"arch": "aarch64", "cpus": 1} for name in HOW_TO.hosts}
    assert first == [step.id for step in cluster.build(site(facts=old))]


def test_proofs_are_a_graph_too(profile: Profile) -> None:
    proofs = cluster.prove(site(profile))
    assert len(ordered(proofs)) == len(proofs)
    assert all(step.id.split("/")[1] == "verification" for step in proofs)
    refusals = [step for step in proofs if "/refuses-" in step.id]
    assert len(refusals) == 5 * len(profile.servers)


def test_what_is_planned_and_what_is_proved_are_told_apart(profile: Profile) -> None:
    here = site(profile)
    assert ordered((*cluster.build(here), *cluster.prove(here)))


def test_every_resource_can_be_built_from_what_its_needs_promise(profile: Profile) -> None:
    """The engine refuses to hand out the state of a step that is not among the needs."""
    checks = Written(site(profile)).checks()
    assert all(check.probe() for check in checks.values())


# -- who waits for whom ---------------------------------------------------------------------------


def test_servers_are_a_chain() -> None:
    written = Written(site(THREE_SERVERS))
    chain = [S1, S2, "k3s-server-3"]
    for before, after in itertools.pairwise(chain):
        assert f"{before}/servers/ready" in written.rests_on(f"{after}/servers/k3s")
        assert f"{after}/servers/ready" not in written.rests_on(f"{before}/servers/k3s")


def test_what_every_server_rests_on(profile: Profile) -> None:
    written = Written(site(profile))
    datastore = profile.datastore_host
    for name in profile.servers:
        needs = written.rests_on(f"{name}/servers/k3s")
        assert {f"{name}/servers/datastore-login", f"{name}/servers/datastore-files"} <= needs
        assert "laptop/installation/checksums" in needs
        for what in ("role", "database", "ownership", "settings", "access"):
            assert f"{datastore}/datastore/{what}" in needs
        # Nobody can say that a login works before the name means something and the rules are in.
        for proof in ("datastore-login", "datastore-files"):
            before = written.rests_on(f"{name}/servers/{proof}")
            assert f"{name}/servers/hosts-entry" in before
            assert f"{datastore}/datastore/access" in before


def test_what_every_agent_rests_on(profile: Profile) -> None:
    written = Written(site(profile))
    for name in profile.agents:
        needs = written.rests_on(f"{name}/agents/k3s")
        assert f"{profile.loadbalancer_host}/loadbalancer/service" in needs
        assert f"{next(iter(profile.servers))}/servers/ca" in needs
        assert {f"{server}/servers/ready" for server in profile.servers} <= needs
        assert "laptop/installation/checksums" in needs


def test_agents_do_not_wait_for_each_other() -> None:
    written = Written(site(TWO_AGENTS))
    assert not [s for s in written.rests_on(f"{AGENT}/agents/k3s") if s.startswith("k3s-agent-2")]
    assert not [s for s in written.rests_on("k3s-agent-2/agents/k3s") if s.startswith(f"{AGENT}/")]


@pytest.mark.parametrize(
    "step",
    [
        *(f"{DATASTORE}/datastore/{what}" for what in ("role", "database", "settings", "access")),
        # What PostgreSQL did not say, because it did not run, would be missing in these.
        f"{DATASTORE}/datastore/ca",
        f"{S1}/servers/datastore-ca",
    ],
)
@pytest.mark.parametrize("what", ["ownership", "unseen"])
def test_nothing_of_a_datastore_is_touched_before_it_is_ours(step: str, what: str) -> None:
    """One that was stopped says only once it runs that it is somebody else's."""
    written = Written(site())
    asked = f"{DATASTORE}/datastore/{what}"
    assert asked in written.rests_on(step)
    before = {f"{DATASTORE}/datastore/cluster", f"{DATASTORE}/datastore/packages"}
    assert written.rests_on(asked) == before
    # Waiting mends nothing here.
    assert written[asked].within <= 15


def test_of_one_that_serves_others_all_is_seen_before_anything_is_touched() -> None:
    data = "/var/lib/postgresql/15/main"
    there = Standing(data, "/etc/pg/postgresql.conf", "/etc/pg/pg_hba.conf", socket="/run/theirs")
    kept = Adoption(dataclasses.replace(there, databases=("wiki",)), Kept("CA"))
    written = Written(dataclasses.replace(site(), adoption=kept))
    checks = {
        what: written[f"{DATASTORE}/preflight/{what}"]
        for what in ("settings", "access", "server-key")
    }
    assert not any(step.needs for step in checks.values())
    settings, access, key = (
        ensure.check if isinstance(ensure, Unmendable) else ensure
        for ensure in (step.ensure for step in checks.values())
    )
    assert isinstance(settings, Settings) and settings.config_file == there.config_file
    assert isinstance(access, Access) and access.hba_file == there.hba_file
    assert isinstance(key, ServedKey) and key.tls.certificate == f"{data}/server.crt"
    assert {found.psql.socket for found in (settings, access, key)} == {"/run/theirs"}
    assert f"{DATASTORE}/datastore/unseen" not in written.by_id  # it has been seen
    without = Written(dataclasses.replace(site(), adoption=Adoption(there)))
    assert f"{DATASTORE}/preflight/server-key" not in without.by_id


def test_rules_of_access_come_last_on_the_datastore() -> None:
    """Rules for a role that is not there, or with TLS off, would lock out what works now."""
    needs = Written(site()).rests_on(f"{DATASTORE}/datastore/access")
    wanted = {f"{DATASTORE}/datastore/{what}" for what in ("role", "database", "settings")}
    assert wanted <= needs
    assert f"{DATASTORE}/datastore/certificate" in needs


def test_the_load_balancer_waits_for_no_server() -> None:
    needs = Written(site()).rests_on(f"{BALANCER}/loadbalancer/service")
    assert all(need.startswith(f"{BALANCER}/") for need in needs)


# -- what K3s is installed from -------------------------------------------------------------------


def downloads(site: Site) -> dict[str, Download]:
    found: dict[str, Download] = {}
    for id, check in Written(site).checks().items():
        if re.fullmatch(r".*/installation/(script|binary)", id):
            assert isinstance(check, Download), id
            found[id] = check
    return found


def test_the_first_use_is_by_one_node_and_compared_by_the_others() -> None:
    wanted = {id: (d.sha256, d.wanted_by) for id, d in downloads(site()).items()}
    releases = "https://github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1"
    assert wanted == {
        f"{S1}/installation/script": (PUBLISHED, "as it was just before"),
        f"{S1}/installation/binary": (PUBLISHED, f"as {releases}/sha256sum-amd64.txt says"),
        **{
            f"{name}/installation/{kind}": (FIRST, f"as {S1} has it")
            for name in (S2, AGENT)
            for kind in ("script", "binary")
        },
    }


def test_a_first_use_of_which_nothing_is_known_before_asks_for_itself() -> None:
    """There may be no curl before the packages are installed."""
    written = Written(site())
    asked = written[f"{S1}/preflight/published-binary"]
    assert isinstance(asked.ensure, FirstSum)
    step = written[f"{S1}/installation/binary"]
    assert asked in step.needs and written[f"{S1}/installation/packages"] in step.needs
    states = States()
    states.put(asked, FirstSumState(why="it is not installed"))
    download = build(step, states)
    assert isinstance(download, Download)
    assert download.sha256 is None and download.listed_in == asked.ensure.listed_in


def test_each_architecture_has_a_first_use_of_its_own() -> None:
    here = site(facts={AGENT: {"arch": "aarch64"}})
    found = downloads(here)
    first = {id for id, download in found.items() if download.sha256 == PUBLISHED}
    assert first == {
        f"{S1}/installation/script",
        f"{S1}/installation/binary",
        f"{AGENT}/installation/binary",
    }
    arm, amd = found[f"{AGENT}/installation/binary"], found[f"{S1}/installation/binary"]
    assert arm.url.endswith("/v1.36.3%2Bk3s1/k3s-arm64")
    assert arm.wanted_by.endswith("/v1.36.3%2Bk3s1/sha256sum-arm64.txt says")
    assert amd.url.endswith("/v1.36.3%2Bk3s1/k3s")
    needs = {need.id for need in Written(here)["laptop/installation/checksums"].needs}
    assert needs == first


def test_recorded_sums_are_what_every_node_must_get() -> None:
    found = downloads(site(recorded=SUMS))
    assert len(found) == 6
    for id, download in found.items():
        name = "install.sh" if id.endswith("script") else "k3s-amd64"
        assert download.sha256 == SUMS[name]
        assert download.wanted_by.endswith(".lock.toml")


def test_a_new_architecture_beside_recorded_sums() -> None:
    found = downloads(site(recorded=SUMS, facts={AGENT: {"arch": "aarch64"}}))
    sums = {id: download.sha256 for id, download in found.items()}
    assert sums.pop(f"{AGENT}/installation/binary") == PUBLISHED
    assert set(sums.values()) == set(SUMS.values())


def test_what_is_published_is_compared_with_the_record_before_anything() -> None:
    here = site(recorded=SUMS | {"k3s-arm64": "3" * 64}, facts={AGENT: {"arch": "aarch64"}})
    found = {id: step for id, step in Written(here).by_id.items() if "/published-" in id}
    assert set(found) == {
        f"{S1}/preflight/published-script",
        f"{S1}/preflight/published-binary",
        f"{AGENT}/preflight/published-binary",
    }
    arm = found[f"{AGENT}/preflight/published-binary"].ensure
    assert isinstance(arm, PublishedSum) and arm.sha256 == "3" * 64
    assert arm.listed_in.endswith("/v1.36.3%2Bk3s1/sha256sum-arm64.txt")


@pytest.mark.parametrize(("renew_days", "expected"), [(None, 243), (600, 600)])
def test_certificates_are_renewed_when_the_profile_says(
    renew_days: int | None, expected: int
) -> None:
    checks = Written(site(changed(pki={"renew_days": renew_days}))).checks().values()
    found = [check for check in checks if isinstance(check, HostCertificate)]
    assert [(c.days, c.renew_days) for c in found] == [(730, expected)] * 3


def test_nothing_is_run_before_its_sum_is_recorded_and_compared(profile: Profile) -> None:
    written = Written(site(profile))
    for name in profile.k3s_nodes:
        chapter = "servers" if name in profile.servers else "agents"
        needs = written.rests_on(f"{name}/{chapter}/k3s")
        assert {f"{name}/installation/script", f"{name}/installation/binary"} <= needs


# -- addresses ------------------------------------------------------------------------------------


def public(check: Check[Any]) -> dict[str, str]:
    """The texts of a service's files, as far as they may be shown."""
    service = check.service if isinstance(check, K3sService) else check
    assert isinstance(service, Service)
    return {file.path: file.content for file in service.files if isinstance(file.content, str)}


def config_of(written: Written, id: str) -> str:
    return public(written.checks()[id])["/etc/rancher/k3s/config.yaml"]


def test_the_sources_that_may_log_in_are_what_routes_say() -> None:
    """A server with two addresses reaches the datastore from the one that its route chooses."""
    here = site(facts={S2: {"route_sources": {"10.161.129.212": "10.99.0.2"}}})
    access = Written(here).checks()[f"{DATASTORE}/datastore/access"]
    assert isinstance(access, Access)
    assert access.servers == ("10.161.129.54", "10.99.0.2")
    assert "10.99.0.2/32" in access.block()
    assert "10.161.129.154" not in access.block()


def test_paths_of_the_datastore_are_those_that_it_says() -> None:
    checks = Written(site()).checks()
    access, settings = (
        checks[f"{DATASTORE}/datastore/access"],
        checks[f"{DATASTORE}/datastore/settings"],
    )
    assert isinstance(access, Access) and isinstance(settings, Settings)
    assert access.hba_file == "/srv/pg/17/hba/pg_hba.conf"
    assert settings.config_file == "/srv/pg/17/postgresql.conf"
    assert "postgresql@17-main.service" in settings.restart


def test_node_ips_are_what_the_hosts_use_among_themselves() -> None:
    profile = with_node_ip(S1, "192.168.7.1")
    profile = with_node_ip(DATASTORE, "192.168.7.9", profile)
    profile = with_node_ip(AGENT, "192.168.7.3", profile)
    here = site(profile)
    written = Written(here)
    checks = written.checks()

    nginx = "\n".join(public(checks[f"{BALANCER}/loadbalancer/service"]).values())
    assert "192.168.7.1:6443" in nginx and "10.161.129.154:6443" in nginx
    assert "10.161.129.54" not in nginx

    entry = checks[f"{S1}/servers/hosts-entry"]
    assert isinstance(entry, Block)
    assert entry.body == "192.168.7.9 postgres.rancher.rke2\n"

    access = checks[f"{DATASTORE}/datastore/access"]
    assert isinstance(access, Access)
    assert access.servers == ("192.168.7.1", "10.161.129.154")

    settings = checks[f"{DATASTORE}/datastore/settings"]
    assert isinstance(settings, Settings)
    assert settings.addresses == ("192.168.7.9",)

    assert "node-ip: 192.168.7.1\n" in config_of(written, f"{S1}/servers/k3s")
    assert "node-ip: 192.168.7.3\n" in config_of(written, f"{AGENT}/agents/k3s")


def test_a_host_that_is_named_is_found_by_its_own_address() -> None:
    """Not by its loopback, which is the first that every host has."""
    entry = HostEntry(address="s2.example", roles=["server"])
    routes = {"route_sources": {"10.161.129.212": "10.0.0.22"}}
    addresses = (("lo", "127.0.0.1"), ("docker0", "172.17.0.1"), ("eth0", "10.0.0.22"))
    for facts in (
        {**routes, "addresses": addresses},
        {"route_sources": {}, "addresses": (("lo", "127.0.0.1"), ("eth0", "10.0.0.22"))},
    ):
        here = site(with_host(S2, entry), facts={S2: facts})
        assert here.address(S2) == "10.0.0.22"
        access = Written(here).checks()[f"{DATASTORE}/datastore/access"]
        assert isinstance(access, Access)
        assert access.servers == ("10.161.129.54", "10.0.0.22")


def test_the_registration_address_is_in_every_servers_certificate() -> None:
    profile = changed(
        loadbalancer={"address": "k3s.example"}, k3s={"tls_san": ["api.example", "k3s.example"]}
    )
    written = Written(site(profile))
    for name in profile.servers:
        text = config_of(written, f"{name}/servers/k3s")
        sans = re.search(r"^tls-san:\n((?:- .*\n)+)", text, re.MULTILINE)
        assert sans
        assert sans[1].split() == ["-", "k3s.example", "-", "api.example", "-", "10.161.129.118"]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("10.161.129.118", "https://10.161.129.118:6443"),
        ("k3s.example", "https://k3s.example:6443"),
        ("fd00::18", "https://[fd00::18]:6443"),
    ],
)
def test_agents_and_kubectl_use_the_registration_address(address: str, url: str) -> None:
    profile = changed(loadbalancer={"address": address})
    written = Written(site(profile))
    assert re.search(
        rf"^server: '?{re.escape(url)}'?$", config_of(written, f"{AGENT}/agents/k3s"), re.MULTILINE
    )
    kubeconfig = written.checks()["laptop/kubeconfig"]
    assert f"server: {url}\n" in kubeconfig.content.reveal()  # type: ignore[attr-defined]


def test_another_api_port_is_the_same_everywhere() -> None:
    profile = changed(k3s={"server_config": {"https-listen-port": 7443}})
    written = Written(site(profile))
    assert "https-listen-port: 7443\n" in config_of(written, f"{S1}/servers/k3s")
    nginx = "\n".join(public(written.checks()[f"{BALANCER}/loadbalancer/service"]).values())
    assert "10.161.129.54:7443" in nginx


def test_hosts_entry_never() -> None:
    written = Written(site(changed(datastore={"hosts_entry": "never"})))
    # One that an earlier run has left goes, if a DNS knows the name.
    assert {c for c in written.checks().values() if isinstance(c, Block)} == {
        Block("/etc/hosts", "", at="bottom")
    }
    assert {c for c in written.checks().values() if isinstance(c, InDns)} == {
        InDns("postgres.rancher.rke2")
    }


# -- secrets --------------------------------------------------------------------------------------


def texts(value: object) -> Iterator[str]:
    """Every text in a resource that is not a Secret: what could reach a plan, a log or argv."""
    if isinstance(value, Secret):
        return
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts(item)


def secret_files(check: object) -> Iterator[File]:
    service = check.service if isinstance(check, K3sService) else check
    for file in getattr(service, "files", (check,)):
        if isinstance(file, File) and isinstance(file.content, Secret):
            yield file


def test_secrets_are_only_in_secret_files_that_nobody_else_can_read(profile: Profile) -> None:
    checks = Written(site(profile)).checks()
    for id, check in checks.items():
        assert not [text for text in texts(check) if CANARY in text], id
        assert CANARY not in repr(check), id
    files = {(id, file.path): file for id, check in checks.items() for file in secret_files(check)}
    assert {id for id, _ in files} == {
        f"{name}/{'servers' if name in profile.servers else 'agents'}/k3s"
        for name in profile.k3s_nodes
    }
    for file in files.values():
        assert isinstance(file.content, Secret)
        assert CANARY in file.content.reveal(), "this test looks for what is really there"
        assert (file.mode, file.owner, file.folder_mode) == ("0600", "root:root", "0700")


def test_probes_ask_with_no_secret(profile: Profile) -> None:
    """What a probe asks travels to a shell; and its command line is there for all to see."""
    for id, check in Written(site(profile)).checks().items():
        ask = check.probe().ask
        if isinstance(ask, str):
            assert CANARY not in ask, id


def test_agents_never_get_the_servers_token() -> None:
    written = Written(site())
    check = written.checks()[f"{AGENT}/agents/k3s"]
    (file,) = secret_files(check)
    assert isinstance(file.content, Secret)
    text = file.content.reveal()
    assert f"K10{'c' * 64}::node:agent-{CANARY}" in text
    assert f"token-{CANARY}" not in text.replace(f"agent-{CANARY}", "")
    assert f"password-{CANARY}" not in text
