"""The main job, from five bare hosts to a cluster that stays one.

The same tests run over the stand-in and over a real K3s (``python -m tests.lab up --k3s …``, then
pytest): nothing here asks which of the two it is.
"""

from __future__ import annotations

import json
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from .lab import Lab
from .observe import Poll, Processes, holding, processes_watched, written
from .product import Done, Product

UNITS = {
    "k3s-server-1": ("k3s.service",),
    "k3s-server-2": ("k3s.service",),
    "k3s-agent": ("k3s-agent.service",),
    "postgres": ("postgresql@15-main.service",),
    "nginx": ("k3s-tui-lb.service",),
}


@dataclass
class Story:
    """What happened on the way from bare hosts to a cluster."""

    product: Product
    check: Done
    bare: dict[str, set[str]]
    after_plan: dict[str, set[str]]
    plan: Done
    apply: Done
    processes: Processes
    files: dict[str, set[str]]


@pytest.fixture(scope="module")
def story(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lab = bare_hosts
    product = Product(lab, tmp_path_factory.mktemp("operator"))
    assert product.init().status == 0
    bare = {name: set(written(host)) for name, host in lab.containers.items()}
    check = product.run("check", product.profile)
    plan = product.plan()
    after_plan = {name: set(written(host)) for name, host in lab.containers.items()}
    with processes_watched() as processes:
        apply = product.apply()
    files = {name: set(written(host)) for name, host in lab.containers.items()}
    assert apply.status == 0, apply
    yield Story(product, check, bare, after_plan, plan, apply, processes, files)


@pytest.fixture(scope="module")
def secrets(story: Story) -> dict[str, str]:
    return {k: v for k, v in story.product.secrets().items() if k != "pki.ca-certificate"}


def starts(lab: Lab) -> dict[str, str]:
    """When each unit started last."""
    return {
        f"{name} {unit}": lab.host(name)
        .sh(f"systemctl show -p ActiveEnterTimestampMonotonic -p MainPID {unit}")
        .strip()
        for name, units in UNITS.items()
        for unit in units
    }


# -- from bare hosts ------------------------------------------------------------------------------


def test_check_and_plan_change_nothing(story: Story) -> None:
    assert story.check.status == 0, story.check
    assert story.plan.status == 0, story.plan
    assert story.plan.of("planned", verdict="change")
    assert not story.plan.of("planned", verdict="problem")
    ignored = re.compile(r"/var/(log|backups|lib/(systemd|sudo|dpkg/lock))|/home/ops/\.")
    for name, before in story.bare.items():
        new = {path for path in story.after_plan[name] - before if not ignored.match(path)}
        assert not new, f"plan wrote on {name}: {sorted(new)}"


def test_apply_makes_and_verifies_a_cluster(story: Story) -> None:
    done = story.apply.events[-1]
    assert (done["type"], done["exit"], done["failed"], done["skipped"]) == ("run-done", 0, 0, 0)
    proofs = {step for step in story.apply.steps("ok") if "/verification/" in step}
    for server in ("k3s-server-1", "k3s-server-2"):
        for refusal in ("no-certificate", "wrong-cn", "other-ca", "plain-tcp", "wrong-password"):
            assert f"{server}/verification/refuses-{refusal}" in proofs
    assert "postgres/verification/tls-sessions" in proofs
    assert "nginx/verification/every-server-answers" in proofs


def test_what_changed_was_planned(story: Story) -> None:
    planned = {e["step"]: e["verdict"] for e in story.apply.of("planned")}
    assert all(planned[step] in ("change", "later") for step in story.apply.steps("changed"))


def test_servers_start_one_after_the_other(story: Story) -> None:
    began = {e["step"]: e["seq"] for e in story.apply.of("step-started")}
    ended = {e["step"]: e["seq"] for e in story.apply.of("step-done")}
    assert ended["k3s-server-1/servers/ready"] < began["k3s-server-2/servers/k3s"]
    assert ended["k3s-server-2/servers/ready"] < began["k3s-agent/agents/k3s"]


def test_the_journal_of_k3s_is_in_the_log(story: Story) -> None:
    said = {e["text"] for e in story.apply.of("line", step="k3s-server-1/servers/k3s")}
    assert any("Starting k3s" in text for text in said), said


def test_the_kubeconfig_leads_through_the_load_balancer(story: Story) -> None:
    path = story.product.profile.with_suffix(".kubeconfig")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = yaml.safe_load(path.read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://10.161.129.118:6443"
    nodes = json.loads(_api(story.product, "/api/v1/nodes"))
    names = {item["metadata"]["name"] for item in nodes["items"]}
    assert names == {"k3s-server-1", "k3s-server-2", "k3s-agent"}


# -- what is on the hosts -------------------------------------------------------------------------

FILES = {
    "k3s-server-1": {
        "/etc/rancher/k3s/config.yaml": "600 root:root",
        "/etc/rancher/k3s/config.yaml.d/50-secrets.yaml": "600 root:root",
        "/etc/k3s-tui/datastore/ca.crt": "644 root:root",
        "/etc/k3s-tui/datastore/current/tls.crt": "644 root:root",
        "/etc/k3s-tui/datastore/current/tls.key": "600 root:root",
        "/usr/local/bin/k3s": "755 root:root",
        "/etc/hosts": "644 root:root",
    },
    "k3s-agent": {
        "/etc/rancher/k3s/config.yaml": "600 root:root",
        "/etc/rancher/k3s/config.yaml.d/50-secrets.yaml": "600 root:root",
        "/usr/local/bin/k3s": "755 root:root",
    },
    "nginx": {
        "/etc/nginx/k3s-tui-lb.conf": "644 root:root",
        "/etc/systemd/system/k3s-tui-lb.service": "644 root:root",
        "/etc/logrotate.d/k3s-tui-lb": "644 root:root",
        "/var/log/k3s-tui-lb/access.log": "644 root:root",
    },
    "postgres": {
        "/etc/postgresql/15/main/conf.d/90-k3s-tui.conf": "644 postgres:postgres",
        "/etc/postgresql/15/main/pg_hba.conf": "640 postgres:postgres",
        "/etc/postgresql/15/main/pg_hba.conf.k3s-tui.orig": "640 postgres:postgres",
        "/etc/k3s-tui/postgresql/ca.crt": "644 root:root",
        "/etc/k3s-tui/postgresql/current/tls.crt": "644 postgres:postgres",
        "/etc/k3s-tui/postgresql/current/tls.key": "600 postgres:postgres",
    },
}


@pytest.mark.parametrize("name", FILES)
def test_files_have_the_modes_of_the_readme(story: Story, name: str) -> None:
    paths = " ".join(FILES[name])
    out = story.product.lab.host(name).sh(f"stat -L -c '%n %a %U:%G' {paths}")
    assert dict(line.split(" ", 1) for line in out.splitlines()) == FILES[name]


def test_the_readme_names_every_place(story: Story) -> None:
    """Whatever changed belongs to the README's table, a planned package, or K3s's own folder."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    ours = re.compile(
        r"/etc/k3s-tui/|/etc/rancher/(k3s|node)/|/var/lib/(k3s-tui|rancher)/|/var/log/k3s-tui-lb/"
        r"|/usr/local/bin/(k3s|kubectl|crictl|ctr|k3s(-agent)?-(killall|uninstall)\.sh)"
        r"|/etc/systemd/system/(multi-user\.target\.wants/)?(k3s|k3s-agent|k3s-tui-lb)\.service"
        r"|/etc/nginx/k3s-tui-lb\.conf|/etc/logrotate\.d/k3s-tui-lb|/etc/hosts(\.k3s-tui\.orig)?$"
        r"|/etc/postgresql/15/main/(conf\.d/90-k3s-tui\.conf|pg_hba\.conf)"
    )
    for word in ("/etc/k3s-tui", "/etc/rancher/k3s", "k3s-tui-lb", "90-k3s-tui.conf", "/etc/hosts"):
        assert word in readme
    # What package managers, systemd, sudo and sshd keep for themselves.
    theirs = re.compile(
        r"/var/(lib/(dpkg|apt|systemd|sudo|ucf|pam|logrotate|nginx|postgresql|private)|cache"
        r"|log|spool|backups|mail)(/|$)|/etc/(ld\.so\.cache|machine-id|\.pwd\.lock"
        r"|(passwd|group|shadow|gshadow|subuid|subgid)-?$|mailcap|alternatives/|rc.\.d/"
        r"|ssl/|ca-certificates|systemd/system/.*wants/|postgresql(-common)?/|resolv\.conf"
        r"|nginx/(modules|sites)-enabled/|default/locale|locale\.gen|inputrc|apt/apt\.conf\.d/02autoremove-postgresql)"
        r"|/usr/(share/man/|lib/locale/)|/var/www/"
    )
    for name, host in story.product.lab.containers.items():
        packaged = set(
            host.sh(
                "cat /var/lib/dpkg/info/*.list; cat /var/lib/dpkg/info/*.conffiles 2>/dev/null"
            ).splitlines()
        )
        packaged |= {path.replace("/usr/", "/", 1) for path in packaged}
        packaged |= {
            "/usr" + path for path in packaged if path.startswith(("/bin", "/lib", "/sbin"))
        }
        changed = story.files[name] - story.bare[name]
        strange = [
            path
            for path in sorted(changed)
            if not (ours.match(path) or theirs.match(path) or path in packaged)
            and not path.endswith((".pyc", ".dpkg-tmp"))
        ]
        assert not strange, f"{name}: {strange}"


def test_no_secret_is_where_others_can_read(story: Story, secrets: dict[str, str]) -> None:
    lab = story.product.lab
    for key, value in secrets.items():
        needle = value.splitlines()[1] if "BEGIN" in value else value
        for name, host in lab.containers.items():
            found = holding(host, needle)
            wide = {path: oct(mode) for path, mode in found.items() if mode & 0o077}
            assert not wide, f"{key} on {name}: {wide}"
            assert not [path for path in found if "systemd" in path], f"{key} in a unit on {name}"
            if key == "pki.ca-key":
                assert not found, f"the CA's key is on {name}: {found}"
        for recording in story.product.recordings():
            assert needle not in recording.read_text(), f"{key} in {recording}"
        for output in (story.plan, story.apply):
            assert needle not in output.out + output.err, f"{key} was printed"


def test_no_secret_was_in_any_process(story: Story, secrets: dict[str, str]) -> None:
    assert story.processes.samples > 50
    assert any("k3s server" in said or "k3s-tui" in said for said in story.processes.seen)
    for key, value in secrets.items():
        needle = value.splitlines()[1] if "BEGIN" in value else value
        assert not story.processes.telling(needle), key


def test_private_keys_stayed_where_they_were_made(story: Story) -> None:
    lab = story.product.lab
    keys = {
        name: lab.host(name).sh("cat /etc/k3s-tui/*/current/tls.key").splitlines()[1]
        for name in ("k3s-server-1", "k3s-server-2", "postgres")
    }
    assert len(set(keys.values())) == 3
    for owner, key in keys.items():
        for name, host in lab.containers.items():
            assert bool(holding(host, key)) == (name == owner)


def test_postgresql_lets_in_servers_and_nobody_else(story: Story) -> None:
    rules = story.product.lab.host("postgres").sh(
        'runuser -u postgres -- psql -XAtqc "select type, database, user_name, address,'
        ' auth_method, options from pg_hba_file_rules order by line_number limit 4"'
    )
    assert rules.splitlines() == [
        "hostssl|{k3s}|{k3s}|10.161.129.54|scram-sha-256|{clientcert=verify-full}",
        "hostssl|{k3s}|{k3s}|10.161.129.154|scram-sha-256|{clientcert=verify-full}",
        "host|{all}|{k3s}|all|reject|",
        "host|{k3s}|{all}|all|reject|",
    ]


# -- and it stays one -----------------------------------------------------------------------------


def test_a_second_run_changes_and_restarts_nothing(story: Story) -> None:
    lab = story.product.lab
    before = starts(lab)
    files = {name: written(host) for name, host in lab.containers.items()}
    again = story.product.apply()
    assert again.status == 0, again
    assert again.events[-1]["changed"] == 0
    assert not again.steps("changed")
    assert starts(lab) == before
    ours = re.compile(r"/etc/|/usr/|/var/lib/k3s-tui/")
    for name, host in lab.containers.items():
        now = {path: info for path, info in written(host).items() if ours.match(path)}
        assert now == {path: info for path, info in files[name].items() if ours.match(path)}


def test_a_converged_plan_is_one_exec_per_host_and_wave(story: Story) -> None:
    lab = story.product.lab
    for host in lab.containers.values():
        host.sh("echo LogLevel VERBOSE >/etc/ssh/sshd_config.d/90-lab.conf; systemctl reload ssh")
    plan = story.product.plan("--detailed-exitcode")
    assert plan.status == 0, plan
    for name, host in lab.containers.items():
        sessions = host.sh(
            "journalctl -u ssh -o cat --no-pager | grep -c 'Starting session: command' || :"
        )
        host.sh("rm /etc/ssh/sshd_config.d/90-lab.conf; systemctl reload ssh")
        # Becoming root, facts, and at most three waves.
        assert 1 <= int(sessions) <= 5, name


DRIFT: dict[str, tuple[str, str, str]] = {
    "a pg_hba line is changed": (
        "postgres",
        "sed -i 's|10.161.129.54/32 scram-sha-256|10.161.129.54/32 trust|' "
        "/etc/postgresql/15/main/pg_hba.conf",
        "postgres/datastore/access",
    ),
    "the hosts entry is deleted": (
        "k3s-server-2",
        "sed -i '/BEGIN k3s-tui/,/END k3s-tui/d' /etc/hosts",
        "k3s-server-2/servers/hosts-entry",
    ),
    "the load balancer is stopped": (
        "nginx",
        "systemctl stop k3s-tui-lb",
        "nginx/loadbalancer/service",
    ),
    "the load balancer's configuration is overwritten": (
        "nginx",
        "echo 'events {}' >/etc/nginx/k3s-tui-lb.conf",
        "nginx/loadbalancer/service",
    ),
    "a certificate is gone": (
        "k3s-server-1",
        "rm /etc/k3s-tui/datastore/current/tls.crt",
        "k3s-server-1/servers/certificate",
    ),
}


@pytest.mark.parametrize("what", [name for name in DRIFT if "certificate" not in name])
def test_drift_is_named_and_mended(story: Story, what: str) -> None:
    where, how, step = DRIFT[what]
    lab = story.product.lab
    lab.host(where).sh(how)
    before = starts(lab)
    plan = story.product.plan("--detailed-exitcode")
    assert plan.status == 10, plan
    # Proofs that rest on it are looked at again later; they change nothing.
    assert [e["step"] for e in plan.of("planned", verdict="change")] == [step]
    assert not plan.of("planned", verdict="problem")
    apply = story.product.apply()
    assert apply.status == 0, apply
    assert apply.steps("changed") == {step}
    after = starts(lab)
    restarted = {unit for unit in after if after[unit] != before[unit]}
    assert restarted <= {"nginx k3s-tui-lb.service"}
    assert story.product.plan("--detailed-exitcode").status == 0


def test_a_changed_configuration_restarts_server_by_server(story: Story) -> None:
    product = story.product
    before = starts(product.lab)
    text = product.profile.read_text()
    product.profile.write_text(f'{text}\n[k3s.server-config]\nnode-label = ["lab=yes"]\n')
    refused = product.run("check", product.profile)
    assert refused.status == 3, "node-label belongs to the hosts' own tables"
    product.profile.write_text(
        text.replace("[k3s.server-config]", "") + "\n[k3s.server-config]\ndebug = true\n"
    )
    poll = Poll(lambda: _answers(product), per_second=5)
    assert _answers(product)
    with poll.going():
        apply = product.apply()
    assert apply.status == 0, apply
    assert apply.steps("changed") == {"k3s-server-1/servers/k3s", "k3s-server-2/servers/k3s"}
    began = {e["step"]: e["seq"] for e in apply.of("step-started")}
    ended = {e["step"]: e["seq"] for e in apply.of("step-done")}
    assert ended["k3s-server-1/servers/ready"] < began["k3s-server-2/servers/k3s"]
    after = starts(product.lab)
    assert {unit for unit in after if after[unit] != before[unit]} == {
        "k3s-server-1 k3s.service",
        "k3s-server-2 k3s.service",
    }
    assert poll.successes and poll.longest_gap < 10, poll.longest_gap


def test_a_renewed_certificate_is_taken_up_server_by_server(story: Story) -> None:
    where, how, step = DRIFT["a certificate is gone"]
    story.product.lab.host(where).sh(how)
    plan = story.product.plan()
    changes = {e["step"] for e in plan.of("planned", verdict="change")}
    assert changes == {step, "k3s-server-1/servers/k3s"}
    apply = story.product.apply()
    assert apply.status == 0, apply
    assert apply.steps("changed") == changes


def test_one_server_may_fail(story: Story) -> None:
    lab = story.product.lab
    poll = Poll(lambda: _answers(story.product), per_second=5)
    with poll.going():
        lab.host("k3s-server-1").sh("systemctl stop k3s")
        poll.wait_for(calls=60, within=300)
    lab.host("k3s-server-1").sh("systemctl start --no-block k3s")
    assert poll.successes > 10
    assert poll.longest_gap < 10, poll.longest_gap
    apply = story.product.apply()
    assert apply.status == 0, apply


def test_verify_says_what_is_broken(story: Story) -> None:
    lab = story.product.lab
    assert story.product.run("verify", story.product.profile, "--json").status == 0
    lab.host("nginx").sh("systemctl stop k3s-tui-lb")
    broken = story.product.run("verify", story.product.profile, "--json")
    lab.host("nginx").sh("systemctl start k3s-tui-lb")
    assert broken.status == 6, broken
    assert broken.steps("failed") == {"nginx/verification/every-server-answers"}


def _api(product: Product, path: str) -> str:
    """Ask the API server through the kubeconfig, from the lab's network."""
    script = Path(__file__).with_name("api_client.py")
    config = product.profile.with_suffix(".kubeconfig")
    done = product.lab.run([sys.executable, script, str(config), path], within=20)
    return done.stdout.decode()


def _answers(product: Product) -> bool:
    return '"items"' in _api(product, "/api/v1/nodes")
