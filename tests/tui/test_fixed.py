"""What a cluster that is there has decided is shown as such, and cannot be typed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Select, Static

from k3s_tui.core.events import RunDone, RunStarted, StepDone
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.record import Recorder
from k3s_tui.procedure.recording import runs_folder
from k3s_tui.profile.neighbours import secrets_file
from k3s_tui.tui import language
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.host_table import ROLES, HostTable
from k3s_tui.tui.widgets.tick import Tick
from tests.tui.fields import choose, field, fill, leave, told
from tests.tui.operator import Operator, how_to, operator
from tests.tui.test_walk import go


@pytest.fixture
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The how-to's profile, which was applied once."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "recorded"))
    path = how_to(folder)
    recorder = Recorder(runs_folder(path, "how-to") / "20260101", Redactor())
    start = RunStarted(tool="0", run="20260101", verb="apply", profile=str(path), hosts=[])
    recorder(start)
    for name in ("k3s-server-1", "k3s-server-2"):
        recorder(StepDone(step=f"{name}/servers/k3s", host=name, outcome="changed"))
    recorder(RunDone(exit=0))
    recorder.close()
    return path


@pytest.mark.parametrize("size", [(60, 15), (80, 24)])
async def test_what_the_datastore_is(folder: Path, installed: Path, size: tuple[int, int]) -> None:
    async with operator(folder, installed, size) as user:
        await go(user, "datastore")
        for key in ("mode", "hostname", "port", "database", "user"):
            assert "cannot be changed any more" in told(user, "datastore", key)
            assert field(user, "datastore", key).query("Input, Select").first().disabled
        assert not field(user, "datastore", "password").query_one(Select).disabled
        await user.press("ctrl+n")
        await user.at("servers")
        assert "does not upgrade" in told(user, "k3s", "version")


async def test_what_a_node_is(folder: Path, installed: Path) -> None:
    async with operator(folder, installed) as user:
        await user.at("hosts")
        user.wizard.screen.query_one(HostTable).focus()
        await user.press("enter")
        dialog = await user.on(HostDialog)
        assert locked(dialog) == {"server", "agent"}
        assert about_roles(dialog) == (
            "server, agent: cannot be changed any more: K3s is installed there"
        )
        fixed = [one.place for one in dialog.query(Field) if one.fixed]
        assert fixed == [("name",), ("address",)]
        await user.press("escape")
        await user.press("d")
        assert not isinstance(user.wizard.screen, ConfirmDialog)
        await user.press("down", "down", "d")  # an agent that was never installed
        await user.on(ConfirmDialog)


def locked(dialog: HostDialog) -> set[str]:
    return {role for role in ROLES if dialog.query_one(f"#role-{role}").disabled}


def about_roles(dialog: HostDialog) -> str:
    return str(dialog.query_one("#wrong-roles", Static).render())


async def edit(user: Operator, name: str) -> HostDialog:
    await user.at("hosts")
    table = user.wizard.screen.query_one(HostTable)
    table.focus()
    table.choose(name)
    await user.press("enter")
    return await user.on(HostDialog)


async def test_the_datastores_host_may_become_a_node_and_stays_the_datastore(
    folder: Path, installed: Path
) -> None:
    async with operator(folder, installed, (80, 40)) as user:
        dialog = await edit(user, "postgres")
        assert locked(dialog) == {"datastore"}
        assert about_roles(dialog) == (
            "datastore: cannot be changed any more: the cluster's state is in there"
        )
        await user.sees("datastore: cannot be changed any more")
        dialog.query_one("#role-agent", Tick).value = True
        await user.press("ctrl+s")
        await user.at("hosts")
        assert user.wizard.draft.get(("hosts", "postgres", "roles")) == ["agent", "datastore"]
        dialog = await edit(user, "nginx")
        assert locked(dialog) == set()


async def test_what_is_fixed_of_roles_is_still_told_beside_a_problem(
    folder: Path, installed: Path
) -> None:
    async with operator(folder, installed, (80, 40)) as user:
        dialog = await edit(user, "postgres")
        for role in ("server", "agent"):
            dialog.query_one(f"#role-{role}", Tick).value = True
        await user.press("ctrl+s")
        await user.until(lambda: len(about_roles(dialog).splitlines()) == 2, "both")
        assert about_roles(dialog).startswith("datastore: cannot be changed any more")


async def test_tokens_stay_and_where_they_are_kept_may_change(
    folder: Path, installed: Path
) -> None:
    secrets_file(installed).write_text("encrypted")
    async with operator(folder, installed, (80, 40)) as user:
        for step, key in (("servers", "token"), ("agents", "agent-token")):
            await go(user, step)
            assert "its value opens what is in the datastore" in told(user, "k3s", key)
            await user.sees("cannot be changed any more: its value opens")
            select = field(user, "k3s", key).query_one(Select)
            ways = [value for _label, value in select._options]
            assert (select.value, ways) == ("make", ["make", "refer"])
            before = user.wizard.draft.get(("k3s", key))
            assert before == f"store:k3s.{key}"
        await choose(user, "refer to where it is kept", "k3s", "agent-token")
        await user.type("env:AGENTS")
        await leave(user)
        assert user.wizard.draft.get(("k3s", "agent-token")) == "env:AGENTS"
        assert "its value opens" in told(user, "k3s", "agent-token")


async def test_a_colleague_without_the_store_can_give_a_token(
    folder: Path, installed: Path
) -> None:
    async with operator(folder, installed) as user:
        await go(user, "servers")
        assert "its value opens" in told(user, "k3s", "token")
        ways = [value for _l, value in field(user, "k3s", "token").query_one(Select)._options]
        assert "type" in ways


@pytest.mark.parametrize("size", [(60, 15), (80, 24)])
async def test_which_options_were_decided(
    folder: Path, installed: Path, size: tuple[int, int]
) -> None:
    place = ("k3s", "server-config")
    async with operator(folder, installed, size) as user:
        await go(user, "servers")
        said = told(user, *place)
        assert said.startswith("cluster-cidr, cluster-dns, ") and "flannel-external-ip" in said
        assert "node-ip" not in said
        assert said.endswith("cannot be changed any more: it was decided when the cluster was made")
        # Others may, and K3s's own defaults change nothing.
        await fill(user, 'disable = ["traefik"]\nflannel-backend = "vxlan"', *place)
        await leave(user)
        assert told(user, *place) == said
        await fill(user, '"cluster-cidr+" = "10.99.0.0/16"', *place)
        await leave(user)
        assert (
            told(user, *place)
            .splitlines()[0]
            .endswith(
                "cluster-cidr: cannot be changed any more: it was decided when the cluster was made"
            )
        )
        await fill(user, "", *place)
        await leave(user)
        assert told(user, *place) == said


async def test_who_signs_stays(folder: Path, installed: Path) -> None:
    async with operator(folder, installed) as user:
        await go(user, "certificates")
        assert "running servers trust the CA that is there" in told(user, "pki", "mode")
        assert field(user, "pki", "mode").query_one(Select).disabled


async def test_it_is_told_in_chinese(folder: Path, installed: Path) -> None:
    secrets_file(installed).write_text("encrypted")
    language.use("zh_CN")
    async with operator(folder, installed, (80, 40)) as user:
        dialog = await edit(user, "postgres")
        assert locked(dialog) == {"datastore"}
        await user.sees("不能再更改")
        await user.press("escape")
        await go(user, "certificates")
        assert "不能再更改" in told(user, "pki", "mode")
        assert "只信任现有的 CA" in told(user, "pki", "mode")
        await go(user, "servers")
        assert "不能再更改" in told(user, "k3s", "token")
        assert "不能再更改" in told(user, "k3s", "server-config")
        await go(user, "agents")
        assert "不能再更改" in told(user, "k3s", "agent-token")


async def test_a_profile_that_was_never_applied(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        assert not user.wizard.draft.fixed
        assert not field(user, "datastore", "user").query_one(Input).disabled
