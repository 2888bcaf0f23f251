"""What an editor shows as not to be changed, without asking a host."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from k3s_tui.core.events import Outcome, RunDone, StepDone
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.record import Recorder
from k3s_tui.procedure.fixed import Installed, changed_options, fixed_fields, installed
from k3s_tui.procedure.recording import runs_folder
from k3s_tui.profile import lockfile
from k3s_tui.profile.model import HostEntry
from k3s_tui.profile.neighbours import lock_file
from tests.unit.procedure.sites import HOW_TO, changed, with_host

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=="
NODES = frozenset({"k3s-server-1", "k3s-server-2", "k3s-agent"})


@pytest.fixture
def profile_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "how-to.toml"


def record(path: Path, run: str, **outcomes: Outcome) -> None:
    """A run in which K3s was looked at on these hosts (`_` stands for `-`)."""
    recorder = Recorder(runs_folder(path, HOW_TO.name) / run, Redactor())
    for name, outcome in outcomes.items():
        host = name.replace("_", "-")
        chapter = "agents" if "agent" in host else "servers"
        recorder(StepDone(step=f"{host}/{chapter}/k3s", host=host, outcome=outcome))
    recorder(StepDone(step="nginx/loadbalancer/service", host="nginx", outcome="changed"))
    recorder(RunDone(exit=0))
    recorder.close()


def paths(there: Installed) -> set[str]:
    return {".".join(one.path) for one in fixed_fields(HOW_TO, there)}


def test_nothing_is_fixed_before_there_is_a_cluster(profile_path: Path) -> None:
    assert installed(profile_path, HOW_TO) == Installed()
    assert not fixed_fields(HOW_TO, Installed())


def test_recorded_runs_say_where_k3s_was_installed(profile_path: Path) -> None:
    record(profile_path, "20260101", k3s_server_1="changed", k3s_server_2="failed")
    record(profile_path, "20260102", k3s_server_1="ok", k3s_agent="skipped")
    assert installed(profile_path, HOW_TO).nodes == {"k3s-server-1"}
    record(profile_path, "20260103", k3s_server_2="changed", k3s_agent="changed")
    assert installed(profile_path, HOW_TO).nodes == NODES


def test_a_colleague_has_the_lock_file(profile_path: Path) -> None:
    path = lock_file(profile_path)
    pins = dict.fromkeys(["k3s-server-1", "nginx", "gone"], KEY)
    lockfile.pin_host_keys(path, pins)
    assert not installed(profile_path, HOW_TO).nodes, "a pinned key alone installs nothing"
    sums = {"k3s-amd64": "0" * 64}
    lockfile.record_checksums(path, HOW_TO.k3s.version, HOW_TO.install.script, sums)
    assert installed(profile_path, HOW_TO).nodes == {"k3s-server-1"}


def test_what_is_fixed_and_what_is_not() -> None:
    found = paths(Installed(frozenset({"k3s-server-1", "k3s-agent"})))
    assert found > {
        "datastore.mode",
        "datastore.hostname",
        "datastore.database",
        "datastore.user",
        "datastore.port",
        "pki.mode",
        "k3s.version",
        "k3s.token",
        "k3s.agent-token",
        "k3s.server-config.cluster-cidr",
        "hosts.k3s-server-1",
        "hosts.k3s-server-1.address",
        "hosts.k3s-agent.roles.server",
        "hosts.k3s-agent.roles.agent",
        "hosts.postgres",
        "hosts.postgres.roles.datastore",
        "hosts.postgres.address",
    }
    # Not installed yet; followed by servers and agents; where the password is kept and its value.
    assert not {p for p in found if p.startswith(("hosts.k3s-server-2", "loadbalancer"))}
    assert not found & {"datastore.password", "pki.ca", "hosts.postgres.roles.agent"}
    assert "k3s.server-config.disable" not in found


def test_where_dns_leads_to_the_datastore_its_host_is_free() -> None:
    by_dns = changed(datastore={"hosts_entry": "never"})
    found = {one.path for one in fixed_fields(by_dns, Installed(NODES))}
    assert not {path for path in found if path[:2] == ("hosts", "postgres")}


def test_what_is_fixed_depends_on_who_holds_the_state() -> None:
    def of(mode: str) -> set[str]:
        there = fixed_fields(changed(datastore={"mode": mode}), Installed(NODES))
        return {one.path[1] for one in there if one.path[0] == "datastore"}

    assert of("embedded") == {"mode"}
    assert of("existing") == {"mode", "engine", "hostname", "port", "database", "user"}
    pinned = changed(datastore={"mode": "existing", "address": "10.0.0.9"})
    assert ("datastore", "address") in {one.path for one in fixed_fields(pinned, Installed(NODES))}


def test_nothing_is_said_twice() -> None:
    both = with_host("k3s-agent", HostEntry(address="10.0.0.3", roles=["agent", "datastore"]))
    found = [one.path for one in fixed_fields(both, Installed(NODES))]
    assert len(found) == len(set(found))


def test_with_a_node_ip_the_way_of_ssh_is_free() -> None:
    entry = msgspec.structs.replace(HOW_TO.hosts["k3s-agent"], node_ip="10.0.0.7")
    hosts = {**HOW_TO.hosts, "k3s-agent": entry}
    there = Installed(frozenset({"k3s-agent"}))
    fixed = fixed_fields(msgspec.structs.replace(HOW_TO, hosts=hosts), there)
    found = {
        one.path[2] for one in fixed if one.path[:2] == ("hosts", "k3s-agent") and one.path[2:]
    }
    assert found == {"roles", "node-ip"}


def test_options_are_compared_as_k3s_understands_them() -> None:
    def of(after: dict[str, object]) -> tuple[str, ...]:
        return changed_options(HOW_TO, {"cluster-cidr": "10.42.0.0/16"}, after)

    assert of({}) == of({"flannel-backend": "vxlan", "disable": ["traefik"]}) == ()
    assert of({"cluster-cidr+": "10.99.0.0/16"}) == ("cluster-cidr",)
    assert changed_options(HOW_TO, None, "typed wrong") == ()


def test_every_reason_is_told() -> None:
    for one in fixed_fields(HOW_TO, Installed(NODES)):
        assert one.text and not one.text.endswith(".")
