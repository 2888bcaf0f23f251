"""The draft: the profile as typed, judged by the profile's own rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from k3s_tui.profile.load import load
from k3s_tui.profile.problem import ProfileInvalid
from k3s_tui.tui.draft import Draft

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "how-to.toml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def example(folder: Path) -> Draft:
    path = folder / "how-to.toml"
    path.write_text(EXAMPLE.read_text())
    return Draft.open(path)


def codes(draft: Draft, *places: tuple[str, ...]) -> list[str]:
    return [problem.code for problem in draft.problems(*places)]


def test_a_new_one_lacks_just_what_only_a_person_knows(folder: Path) -> None:
    draft = Draft.new(folder / "prod.toml", "ops")
    assert draft.profile is None
    assert {p.path for p in draft.problems() if p.severity == "error"} == {
        ("hosts",),
        ("loadbalancer", "address"),
    }
    for name, roles in (
        ("one", ["server"]),
        ("two", ["server"]),
        ("db", ["datastore"]),
        ("lb", ["loadbalancer"]),
    ):
        draft.put_host(None, name, {"address": f"10.0.0.{len(draft.hosts) + 1}", "roles": roles})
    assert draft.problems() == []
    assert draft.get(("loadbalancer", "address")) == "10.0.0.4"
    assert draft.save() == load(folder / "prod.toml")
    assert not draft.changed


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("prod.toml", "prod"),
        ("my cluster.toml", "my-cluster"),
        ("我的集群.toml", "cluster"),
        ("我的集群 2.toml", "2"),
        ("clusté.toml", "cluste"),
        (".toml", "toml"),
        ("-_.toml", "cluster"),
        ("a" * 80 + ".toml", "a" * 63),
    ],
)
def test_a_file_of_any_name_gives_a_valid_one(folder: Path, file: str, name: str) -> None:
    draft = Draft.new(folder / file, "ops")
    assert draft.get(("name",)) == name
    assert draft.problems(("name",)) == []


def test_where_the_file_says_it(example: Draft) -> None:
    lines = example.path.read_text().splitlines()
    assert lines[example.line(("datastore", "hostname")) - 1].startswith("hostname")
    assert example.line(("no", "such")) == 0
    assert Draft.new(example.path, "ops").line(("name",)) == 0


def test_an_empty_table_of_hosts_is_no_crash(folder: Path) -> None:
    draft = Draft.new(folder / "prod.toml", "ops")
    draft.set(("hosts",), "not a table")
    assert draft.hosts == {}
    assert draft.problems(("hosts",))


def test_comments_of_a_file_survive(example: Draft) -> None:
    before = example.path.read_text()
    example.set(("datastore", "port"), 5433)
    assert example.changed
    example.save()
    after = example.path.read_text()
    assert after != before
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    assert load(example.path).datastore.port == 5433


def test_a_problem_belongs_to_its_field(example: Draft) -> None:
    example.set(("datastore", "user"), "K3s")
    example.set(("loadbalancer", "port"), "a lot")
    assert codes(example, ("datastore",)) == ["bad-database-name"]
    assert codes(example, ("datastore", "user")) == ["bad-database-name"]
    assert codes(example, ("datastore", "database")) == []
    assert codes(example, ("loadbalancer", "port")) == ["wrong-type"]
    assert example.profile is None
    with pytest.raises(ProfileInvalid):
        example.save()
    assert load(example.path).datastore.user == "k3s"


def test_hosts_keep_their_order_when_renamed(example: Draft) -> None:
    table = example.hosts["k3s-server-2"]
    example.put_host("k3s-server-2", "second", {**table, "port": 2222})
    assert list(example.hosts)[:3] == ["k3s-server-1", "second", "k3s-agent"]
    assert example.hosts["second"]["port"] == 2222
    example.drop_host("second")
    assert "second" not in example.hosts
    assert codes(example, ("hosts",)) == ["one-server"]


def test_a_table_that_is_no_toml_is_kept_as_typed(example: Draft) -> None:
    place = ("k3s", "server-config")
    example.set_table(place, "disable = ")
    assert example.table_text(place) == "disable = "
    assert codes(example, place) == ["syntax"]
    assert example.profile is None
    example.set_table(place, 'disable = ["traefik"]')
    assert codes(example, place) == []
    assert example.get(place) == {"disable": ["traefik"]}
    assert example.table_text(place) == 'disable = ["traefik"]'


def test_errors_come_before_warnings(example: Draft) -> None:
    example.drop_host("k3s-server-2")
    example.set(("hosts", "k3s-agent", "address"), "10.161.129.54")
    severities = [problem.severity for problem in example.problems()]
    assert severities == ["error", "warning"]


def test_what_is_no_toml_is_not_opened(folder: Path) -> None:
    path = folder / "broken.toml"
    path.write_text("schema = \n")
    with pytest.raises(ProfileInvalid):
        Draft.open(path)
