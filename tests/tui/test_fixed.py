"""What a cluster that is there has decided is shown as such, and cannot be typed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from k3s_tui.core.events import RunDone, RunStarted, StepDone
from k3s_tui.core.secret import Redactor
from k3s_tui.engine.record import Recorder
from k3s_tui.procedure.recording import runs_folder
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.host_table import HostTable
from tests.tui.fields import field, told
from tests.tui.operator import how_to, operator
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
        for key in ("mode", "hostname", "database", "user"):
            assert "cannot be changed any more" in told(user, "datastore", key)
            assert field(user, "datastore", key).query("Input, Select").first().disabled
        assert not field(user, "datastore", "port").query_one(Input).disabled
        await user.press("ctrl+n")
        await user.at("servers")
        assert "does not upgrade" in told(user, "k3s", "version")


async def test_what_a_node_is(folder: Path, installed: Path) -> None:
    async with operator(folder, installed) as user:
        await user.at("hosts")
        user.wizard.screen.query_one(HostTable).focus()
        await user.press("enter")
        dialog = await user.on(HostDialog)
        assert dialog.query_one("#role-server").disabled
        fixed = [one.place for one in dialog.query(Field) if one.fixed]
        assert fixed == [("name",), ("address",)]
        await user.press("escape")
        await user.press("d")
        assert not isinstance(user.wizard.screen, ConfirmDialog)
        await user.press("down", "down", "d")  # an agent that was never installed
        await user.on(ConfirmDialog)


async def test_a_profile_that_was_never_applied(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await go(user, "datastore")
        assert not user.wizard.draft.fixed
        assert not field(user, "datastore", "user").query_one(Input).disabled
