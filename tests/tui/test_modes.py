"""What comes from elsewhere is chosen, and the step then asks for just that."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from k3s_tui.tui import language
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.rows import Rows
from tests.tui.fields import choose, field, told
from tests.tui.operator import EXAMPLE, Operator, how_to, operator
from tests.tui.test_walk import fill, go

MODE = ("loadbalancer", "mode")
STATE = ("datastore", "mode")
SOURCE = ("install", "source")


def places(user: Operator) -> list[tuple[str | int, ...]]:
    return [one.place for one in user.wizard.screen.query(Field)]


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_a_load_balancer_of_ones_own(folder: Path, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await go(user, "loadbalancer")
        assert ("loadbalancer", "method") in places(user)
        await choose(user, "one of your own", *MODE)
        await user.until(lambda: ("loadbalancer", "method") not in places(user), "asked anew")
        assert user.wizard.draft.get(MODE) == "external"
        await user.until(lambda: field(user, *MODE).has_focus_within, "the focus stays")
        shown = user.wizard.screen.query_one(Rows).rows
        assert not [row for row in shown if "k3s-tui-lb" in row.text]
        # The host that was to be one is named where its roles are.
        problems = {problem.code for problem in user.wizard.draft.problems()}
        assert problems == {"needless-role"}
        user.wizard.draft.drop_host("nginx")
        assert user.wizard.draft.valid


async def test_a_method_means_nothing_for_it(folder: Path) -> None:
    path = how_to(folder)
    text = path.read_text().replace("port = 6443", 'port = 6443\nmethod = "round_robin"')
    path.write_text(
        text.replace('[loadbalancer]\nmode = "managed"', '[loadbalancer]\nmode = "external"')
    )
    async with operator(folder, path) as user:
        await go(user, "loadbalancer")
        await user.sees("an external load balancer chooses servers as it likes")
        await choose(user, "nginx, set up by k3s-tui", *MODE)
        await user.until(lambda: ("loadbalancer", "method") in places(user), "asked anew")
        assert not user.wizard.draft.problems(("loadbalancer",))


@pytest.mark.parametrize(
    ("label", "key", "value"),
    [
        ("a mirror of them", "mirror", "https://mirror.example.org/k3s"),
        ("a folder on this machine", "bundle", "k3s-bundle"),
    ],
)
async def test_where_k3s_comes_from(folder: Path, label: str, key: str, value: str) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "servers")
        assert ("install", key) not in places(user)
        await choose(user, label, *SOURCE)
        await user.until(lambda: ("install", key) in places(user), "asked for")
        await user.press("ctrl+n")
        await user.until(lambda: told(user, "install", key), "told what is missing")
        await fill(user, ("install", key), value)
        await user.until(lambda: not told(user, "install", key), "nothing missing")
        assert user.wizard.draft.get(("install", key)) == value
        # Back to the releases: what was typed for another source does not stand in the way, and
        # is there again for whoever changes their mind.
        await choose(user, "its releases on the Internet", *SOURCE)
        await user.until(lambda: ("install", key) not in places(user), "asked anew")
        assert user.wizard.draft.valid
        await choose(user, label, *SOURCE)
        await user.until(lambda: ("install", key) in places(user), "asked again")
        assert field(user, "install", key).typed == value


async def test_in_chinese(folder: Path) -> None:
    language.use("zh_CN")
    async with operator(folder, how_to(folder)) as user:
        await go(user, "loadbalancer")
        await choose(user, "自备的负载均衡器", *MODE)
        await user.until(lambda: ("loadbalancer", "method") not in places(user), "asked anew")
        await go(user, "servers")
        await choose(user, "本机上的文件夹", *SOURCE)
        await user.until(lambda: ("install", "bundle") in places(user), "asked for")
        assert user.wizard.screen.query(Input)


@pytest.mark.parametrize("name", ["embedded", "existing-postgresql"])
async def test_what_is_there_needs_no_host_and_no_certificate(folder: Path, name: str) -> None:
    path = folder / f"{name}.toml"
    path.write_text(EXAMPLE.with_name(path.name).read_text())
    async with operator(folder, path) as user:
        await user.sees("✓ server: ")
        assert "datastore:" not in user.text
        await go(user, "review")
        await user.sees("Look at the hosts")
        assert "looked at the certificates" not in user.text


async def test_a_host_for_what_is_there_already_is_one_too_many(folder: Path) -> None:
    async with operator(folder, how_to(folder), (120, 40)) as user:
        user.wizard.draft.set(MODE, "external")
        user.wizard.draft.set(STATE, "existing")
        await go(user, "datastore")
        await go(user, "hosts")
        await user.sees("✗ datastore: 1, must be 0   ✗ load balancer: 1, must be 0")


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_a_database_that_is_there(folder: Path, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await go(user, "datastore")
        assert ("datastore", "client-key") not in places(user)
        await choose(user, "a database that is there already", *STATE)
        await user.until(lambda: ("datastore", "client-key") in places(user), "asked anew")
        await user.until(lambda: field(user, *STATE).has_focus_within, "the focus stays")
        problems = {(problem.code, problem.path) for problem in user.wizard.draft.problems()}
        assert problems == {
            ("missing-key", ("datastore", "ca")),
            ("needless-role", ("hosts", "postgres", "roles", 0)),
        }
        await user.press("ctrl+n")
        await user.at("datastore")
        assert "missing" in told(user, "datastore", "ca")
        await fill(user, ("datastore", "ca"), "database-ca.pem")
        user.wizard.draft.drop_host("postgres")
        assert user.wizard.draft.valid
        shown = user.wizard.screen.query_one("#written", Rows).rows
        assert not [row for row in shown if "pg_hba" in row.text]
        assert any("datastore-endpoint" in row.text for row in shown)
        await choose(user, "MySQL or MariaDB", "datastore", "engine")
        await user.until(lambda: field(user, "datastore", "port").typed == 3306, "its port")


async def test_the_datastore_s_modes_in_chinese(folder: Path) -> None:
    language.use("zh_CN")
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        await choose(user, "已有的数据库", *STATE)
        await user.until(lambda: ("datastore", "client-key") in places(user), "asked anew")
        await user.press("ctrl+n")
        await user.at("datastore")
        assert "此处必须填写" in told(user, "datastore", "ca")
        await go(user, "certificates")
        await user.sees("这里不签发证书")
        await go(user, "datastore")
        await choose(user, "etcd，位于 server 内部", *STATE)
        await user.until(lambda: places(user) == [STATE], "asked anew")
        await user.sees("不涉及数据库")
        await choose(user, "PostgreSQL，由 k3s-tui 配置", *STATE)
        await user.until(lambda: ("datastore", "user") in places(user), "asked anew")
        assert user.wizard.draft.valid


async def test_etcd_needs_no_database(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        await choose(user, "etcd, inside the servers", *STATE)
        await user.until(lambda: places(user) == [STATE], "asked anew")
        await user.sees("Nothing for a database")
        codes = {problem.code for problem in user.wizard.draft.problems()}
        assert codes == {"needless-role", "even-servers"}
        # What was set aside is there again.
        await choose(user, "PostgreSQL, set up by k3s-tui", *STATE)
        await user.until(lambda: ("datastore", "user") in places(user), "asked anew")
        assert user.wizard.draft.valid


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_a_postgresql_that_runs_there(folder: Path, size: tuple[int, int]) -> None:
    """It is joined, or a second one is made beside it, on a port of its own."""
    cluster = ("datastore", "cluster")
    path = how_to(folder)
    path.write_text(path.read_text().replace("port = 5432", "#port = 5432"))
    async with operator(folder, path, size) as user:
        await go(user, "datastore")
        await fill(user, ("datastore", "ca"), "their-ca.pem")
        assert user.wizard.draft.valid
        await choose(user, "leave it, and make a second one on that port", *cluster)
        await user.until(lambda: ("datastore", "ca") not in places(user), "asked anew")
        assert user.wizard.draft.get(("datastore", "ca")) is None
        assert [p.path for p in user.wizard.draft.problems()] == [("datastore", "port")]
        await fill(user, ("datastore", "port"), "5433")
        assert user.wizard.draft.valid
        await choose(user, "join it; others keep what they have", *cluster)
        await user.until(lambda: ("datastore", "ca") in places(user), "asked anew")
        assert user.wizard.draft.get(("datastore", "ca")) == "their-ca.pem"
