"""Step 1: several hosts at once, from pasted lines and from the operator's ssh configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Button, TextArea

from k3s_tui.tui.dialogs.import_hosts import ImportDialog
from k3s_tui.tui.dialogs.paste import PasteDialog
from k3s_tui.tui.screens.hosts import HostsScreen
from tests.tui.operator import how_to, operator

HOSTILE = [
    "[/usr/lib]",
    "[@click=app.quit]x[/]",
    "[b]bold",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202eevil",
    "x" * 10_000,
]
SIZES = [(60, 15), (80, 24), (120, 40)]


async def test_lines_are_taken_all_or_none(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("v")
        dialog = await user.on(PasteDialog)
        area = dialog.query_one(TextArea)
        area.text = "a 10.0.0.1 ops agent\nB@D 10.0.0.2\nk3s-agent 10.0.0.3\nc 10.161.129.54"
        await user.sees("line 2:")
        await user.sees("line 3: there is a host called k3s-agent already")
        await user.sees("line 4: 10.161.129.54 is the address of k3s-server-1 already")
        await user.press("ctrl+s")
        assert user.wizard.screen is dialog
        area.text = "a 10.0.0.1 ops agent\nb 10.0.0.2"
        await user.sees("2 hosts")
        await user.press("ctrl+s")
        await user.on(HostsScreen)
        hosts = user.wizard.draft.hosts
        assert hosts["a"] == {"address": "10.0.0.1", "roles": ["agent"], "user": "ops"}
        assert len(hosts) == 7
        await user.sees("✗ to mend")
        await user.sees("to mend: b")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("size", SIZES)
async def test_what_is_pasted_is_text(folder: Path, text: str, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        await user.at("hosts")
        await user.press("v")
        dialog = await user.on(PasteDialog)
        dialog.query_one(TextArea).text = f"{text} {text}\na 10.0.0.1 {text}"
        await user.sees("line 1:")
        assert dialog.query_one("#ok", Button).disabled
        assert "\x1b" not in user.text and "\u202e" not in user.text
        assert "Cancel" in user.text


SSH_CONFIG = """\
Host web
  HostName 10.0.0.7
  User ops
  Port 2222
  ProxyJump bastion
Host bastion
  HostName 192.0.2.1
  User hop
Host Web_
  HostName 10.0.0.8
  ProxyJump web
Host [@click=app.quit]x[/]
  HostName 10.0.0.9
Host known
  HostName 10.161.129.54
Match user x
Host *
  ServerAliveInterval 5
"""


@pytest.mark.parametrize("size", SIZES)
async def test_hosts_of_the_ssh_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    (folder / ".ssh").mkdir()
    (folder / ".ssh" / "config").write_text(SSH_CONFIG)
    async with operator(folder, how_to(folder), size) as user:
        await user.at("hosts")
        await user.press("i")
        await user.on(ImportDialog)
        await user.sees("[ ] web  ops@10.0.0.7:2222 (by way of bastion)")
        await user.press("end")
        await user.sees("[ ] [@click=app.quit]x[/]  10.0.0.9")
        await user.press("home")
        await user.sees("a Match block")  # the rest goes below the edge, by the length of the path
        assert "known" not in user.text
        await user.press("ctrl+s")  # nothing is chosen
        await user.on(ImportDialog)
        await user.press("space", "down", "down", "enter")
        await user.sees("[x] web ")
        await user.sees("[x] Web_")
        await user.sees("2 hosts")
        await user.press("ctrl+s")
        await user.on(HostsScreen)
        hosts = user.wizard.draft.hosts
        assert hosts["web"] == {
            "address": "10.0.0.7",
            "roles": [],
            "user": "ops",
            "port": 2222,
            "jump": "hop@192.0.2.1",
        }
        assert hosts["web-2"] == {"address": "10.0.0.8", "roles": [], "jump": "web"}
        assert "bastion" not in hosts


async def test_no_ssh_configuration(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("i")
        await user.on(ImportDialog)
        await user.sees("no host that is not here yet")
        await user.press("escape")
        await user.on(HostsScreen)
