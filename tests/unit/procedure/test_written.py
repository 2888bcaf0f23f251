"""What is shown before a run is what the run's steps write."""

from __future__ import annotations

from typing import Any

import pytest

from k3s_tui.procedure import cluster, loadbalancer, servers, written
from k3s_tui.profile.load import check
from k3s_tui.profile.model import HostEntry, Profile
from k3s_tui.resources.block import Block
from k3s_tui.resources.certificate import HostCertificate
from k3s_tui.resources.file import File
from k3s_tui.resources.k3s.service import K3sService
from k3s_tui.resources.nginx import CONFIG_PATH
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.postgres.database import Database
from k3s_tui.resources.postgres.role import Role
from k3s_tui.resources.service import Service
from tests.unit.procedure.sites import BOTH, HOW_TO, IPV6, changed, site, with_host, with_node_ip

PROFILES = {
    "how-to": HOW_TO,
    "other names": changed(
        datastore={
            "user": "kine",
            "database": "db",
            "hostname": "db.example.org",
            "given_port": 5433,
        }
    ),
    "DNS": changed(datastore={"hosts_entry": "never"}),
    "three servers": with_host("s3", HostEntry(address="10.161.129.155", roles=["server"])),
    "IPv6": IPV6,
    "both families": BOTH,
    "a server in IPv6": with_node_ip("k3s-server-1", "fd00:0::0a"),
    "more names": changed(k3s={"tls_san": ["k3s.example.org"]}),
    "virtual address": changed(loadbalancer={"address": "10.161.129.119"}),
}


class Anything:
    """A step's state, of which only texts that do not matter here are read."""

    def __getattr__(self, name: str) -> str:
        return f"/etc/{name}"


class Seen(dict[Any, Any]):
    def __missing__(self, step: Any) -> Anything:
        return Anything()


def resources(profile: Profile) -> list[tuple[str, Any]]:
    """Every resource of a run, by its host."""
    found = []
    for step in cluster.build(site(profile)):
        ensure: Any = step.ensure
        if callable(ensure) and not hasattr(ensure, "probe"):
            if not step.id.endswith(("/access", "/k3s")):
                continue
            ensure = ensure(Seen())
        found.append((step.host.name, ensure))
    return found


def paths(profile: Profile) -> set[tuple[str, str, str]]:
    """Host, path and mode of every file that a run places."""
    found = set()
    for host, resource in resources(profile):
        service = resource.service if isinstance(resource, K3sService) else resource
        files = service.files if isinstance(service, Service) else (service,)
        for file in files:
            if isinstance(file, File):
                found.add((host, file.path, file.mode))
        if isinstance(resource, HostCertificate):
            found.add((host, resource.certificate_path, "0644"))
            found.add((host, resource.certificate_path.replace(".crt", ".key"), "0600"))
    return found


def both(profile: Profile) -> list[written.Written]:
    return [*written.on_datastore(profile), *written.on_servers(profile)]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_files_are_those_of_the_steps(profile: Profile) -> None:
    shown = (*both(profile), *written.balancer(profile))
    files = {(w.host, w.where, w.mode) for w in shown if w.kind == "file" and w.where[0] == "/"}
    assert len(files) > 8
    assert files <= paths(profile)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_rules_of_access_are_those_of_the_step(profile: Profile) -> None:
    (real,) = (r for _, r in resources(profile) if isinstance(r, Access))
    lines = real.block().splitlines()[1:-1]
    assert list(written.access(profile)) == lines
    assert len(lines) == len(profile.servers) + 2


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_hosts_file_has_these_lines(profile: Profile) -> None:
    real = {
        (host, r.body.strip())
        for host, r in resources(profile)
        if isinstance(r, Block) and r.path == "/etc/hosts" and r.body
    }
    shown = [w for w in both(profile) if w.where == "/etc/hosts"]
    assert {(w.host, *w.lines) for w in shown} == real


def test_database_and_role_have_these_names() -> None:
    profile = PROFILES["other names"]
    real = [r for _, r in resources(profile)]
    assert [r.name for r in real if isinstance(r, Role)] == ["kine"]
    assert [(r.name, r.owner) for r in real if isinstance(r, Database)] == [("db", "kine")]
    shown = {w.kind: w for w in both(profile)}
    assert shown["role"].where == "kine"
    assert (shown["database"].where, shown["database"].lines) == ("db", ("owner kine",))


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_upstreams_names_and_address_are_those_of_the_run(profile: Profile) -> None:
    here = site(profile)
    shown = written.upstreams(profile)
    assert tuple(u.address for u in shown) == loadbalancer.upstreams(here)
    assert list(written.api_names(profile)) == servers._tls_san(here, "k3s-server-1")
    assert written.registration_url(profile) == here.registration_url
    (config,) = (
        f.content
        for _, r in resources(profile)
        if isinstance(r, Service)
        for f in r.files
        if f.path == CONFIG_PATH
    )
    assert all(f"server {u.address} " in str(config) for u in shown)


def test_an_address_that_is_a_name_is_left_open() -> None:
    profile = with_host("k3s-server-2", HostEntry(address="two.example.org", roles=["server"]))
    assert written.unknown_servers(profile) == ("k3s-server-2",)
    assert written.upstreams(profile)[1] == written.Upstream("k3s-server-2", "")
    assert len(written.access(profile)) == 3


def test_an_empty_profile_has_a_preview() -> None:
    profile = check({"schema": 1, "name": "x"}).profile
    assert {w.host for w in both(profile)} == {""}
    assert written.balancer(profile)[0].host == ""
    assert written.upstreams(profile) == ()
    assert written.registration_url(profile) == ""


def test_no_secret_is_in_it() -> None:
    text = repr(both(HOW_TO))
    assert "PASSWORD" in text
    assert "store:" not in text
