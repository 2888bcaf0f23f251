"""Step 1: hosts typed, pasted, imported, probed over a real sshd, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from k3s_tui.profile import lockfile
from k3s_tui.profile.neighbours import lock_file
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.dialogs.host_key import HostKeyDialog
from k3s_tui.tui.dialogs.import_hosts import ImportDialog
from k3s_tui.tui.dialogs.paste import PasteDialog
from k3s_tui.tui.screens.hosts import HostsScreen
from k3s_tui.tui.widgets.field import Field
from k3s_tui.tui.widgets.host_table import HostTable
from tests.ssh.sshd import Sshd, running_sshd
from tests.tui.operator import how_to, operator

HOSTILE = [
    "[/usr/lib]",
    "[@click=app.quit]x[/]",
    "[b]bold",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202eevil",
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd() as server:
        yield server


async def test_a_host_by_the_keyboard_alone(folder: Path) -> None:
    async with operator(folder) as user:
        user.wizard.new_draft(folder / "mine.toml")
        user.wizard.go("hosts")
        await user.at("hosts")
        await user.press("a")
        await user.on(HostDialog)
        await user.type("node-1")
        await user.press("tab")
        await user.type("10.0.0.1")
        await user.press("tab", "space", "ctrl+s")
        await user.on(HostsScreen)
        assert user.wizard.draft.hosts == {"node-1": {"address": "10.0.0.1", "roles": ["server"]}}
        await user.sees("node-1")

        await user.press("enter")
        dialog = await user.on(HostDialog)
        assert dialog.query_one(Input).value == "node-1"
        await user.type("node-one")
        await user.press("ctrl+s")
        await user.on(HostsScreen)
        assert list(user.wizard.draft.hosts) == ["node-one"]

        await user.press("d")
        await user.on(ConfirmDialog)
        await user.press("escape")
        assert user.wizard.draft.hosts
        await user.on(HostsScreen)
        await user.press("d")
        await user.on(ConfirmDialog)
        await user.press("tab", "enter")
        await user.on(HostsScreen)
        assert user.wizard.draft.hosts == {}


@pytest.mark.parametrize(
    ("name", "address", "field", "words"),
    [
        ("Node_1", "10.0.0.9", "name", "lower-case"),
        ("k3s-agent", "10.0.0.9", "name", "there is a host called k3s-agent already"),
        ("new", "10.161.129.54", "address", "also the address of"),
        ("new", "10.0.0.300", "address", "not a valid address"),
        ("", "10.0.0.9", "roles", ""),
    ],
)
async def test_what_is_wrong_is_told_below_its_field(
    folder: Path, name: str, address: str, field: str, words: str
) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        before = dict(user.wizard.draft.hosts)
        await user.press("a")
        dialog = await user.on(HostDialog)
        await user.type(name)
        await user.press("tab")
        await user.type(address)
        if field != "roles":
            await user.press("tab", "tab", "space")
        await user.press("ctrl+s")
        assert user.wizard.screen is dialog
        assert user.wizard.draft.hosts == before
        if field != "roles":
            (told,) = [f for f in dialog.query(Field) if f.place == (field,)]
            assert told.is_wrong
            assert words in " ".join(user.text.split())
        else:
            assert "roles" in user.text


async def test_lines_are_taken_all_or_none(folder: Path) -> None:
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("v")
        dialog = await user.on(PasteDialog)
        dialog.query_one(TextArea).text = "a 10.0.0.1 ops agent\nB@D 10.0.0.2\nk3s-agent 10.0.0.3"
        await user.sees("line 2:")
        await user.sees("line 3: there is a host called k3s-agent already")
        await user.press("ctrl+s")
        assert user.wizard.screen is dialog
        dialog.query_one(TextArea).text = "a 10.0.0.1 ops agent\nb 10.0.0.2"
        await user.sees("2 hosts")
        await user.press("ctrl+s")
        await user.on(HostsScreen)
        hosts = user.wizard.draft.hosts
        assert hosts["a"] == {"address": "10.0.0.1", "roles": ["agent"], "user": "ops"}
        assert len(hosts) == 7


async def test_hosts_of_the_ssh_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    (folder / ".ssh").mkdir()
    (folder / ".ssh" / "config").write_text(
        "Host web\n  HostName 10.0.0.7\n  User ops\n  Port 2222\n  ProxyJump bastion\n"
        "Host bastion\n  HostName 192.0.2.1\nHost *\n  ServerAliveInterval 5\n"
    )
    async with operator(folder, how_to(folder)) as user:
        await user.at("hosts")
        await user.press("i")
        await user.on(ImportDialog)
        await user.sees("[ ] web  ops@10.0.0.7:2222 (by way of bastion)")
        await user.press("tab", "space")
        await user.sees("[x] web")
        await user.press("tab", "tab", "tab", "enter")
        await user.on(HostsScreen)
        assert user.wizard.draft.hosts["web"] == {
            "address": "10.0.0.7",
            "roles": [],
            "user": "ops",
            "port": 2222,
            "jump": "bastion",
        }


def loopback(folder: Path, server: Sshd, port: int | None = None) -> Path:
    """A profile whose only host is the loopback sshd."""
    path = how_to(folder)
    text = path.read_text().replace("10.161.129.54", "127.0.0.1").replace('"sles"', '"root"')
    text = text.replace('identity = "agent"', f'identity = "{server.identity}"')
    text = text.replace('become = "sudo"', 'become = "root"').replace("sudo-password", "# sudo")
    text = text.replace("[ssh]", f"[ssh]\nport = {port or server.port}")
    path.write_text(text)
    return path


async def test_a_probe_asks_about_the_key_and_says_what_it_found(folder: Path, sshd: Sshd) -> None:
    path = loopback(folder, sshd)
    async with operator(folder, path, (120, 40)) as user:
        await user.at("hosts")
        await user.press("p")
        dialog = await user.on(HostKeyDialog)
        expected = dialog.query_one("#expected", Input)
        expected.focus()
        await user.type("SHA256:nonsense")
        await user.sees("they are NOT the same")
        assert dialog.query_one("#trust").disabled
        expected.value = sshd.host_key
        await user.sees("they are the same")
        await user.press("tab", "tab", "enter")
        await user.on(HostsScreen)
        await user.sees("ready")
        kept = lockfile.load(lock_file(path)).host_keys
        assert kept["k3s-server-1"].split()[1] == sshd.host_key.split()[1]

        # Coming back shows it; another way to the host drops it.
        await user.press("ctrl+n")
        await user.at("certificates")
        await user.press("escape")
        await user.at("hosts")
        assert "ready" in user.text
        user.wizard.draft.set(("hosts", "k3s-server-1", "address"), "127.0.0.9")
        user.wizard.go("hosts")
        screen = await user.at("hosts")
        assert isinstance(screen, HostsScreen) and screen.found == {}


async def test_not_now_trusts_nothing(folder: Path, sshd: Sshd) -> None:
    path = loopback(folder, sshd)
    async with operator(folder, path) as user:
        await user.at("hosts")
        await user.press("p")
        await user.on(HostKeyDialog)
        await user.press("enter")
        await user.on(HostsScreen)
        await user.sees("new host key")
        assert lockfile.load(lock_file(path)).host_keys == {}


async def test_a_changed_key_is_never_offered_for_trust(folder: Path, sshd: Sshd) -> None:
    path = loopback(folder, sshd)
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0TJ5Z6yqLp0h0PHkzv5YcUVbIu1y0L0nGdGDCfb0qS"
    lockfile.pin_host_keys(lock_file(path), {"k3s-server-1": other})
    async with operator(folder, path, (120, 40)) as user:
        await user.at("hosts")
        await user.press("p")
        await user.sees("not ready")
        assert isinstance(user.wizard.screen, HostsScreen)
        assert "changed" in user.text or "another" in user.text


async def test_an_unreachable_host_and_what_to_do(folder: Path, sshd: Sshd) -> None:
    async with operator(folder, loopback(folder, sshd, port=1), (120, 40)) as user:
        await user.at("hosts")
        await user.press("p")
        await user.sees("not ready")
        await user.sees("try:")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("size", [(60, 15), (80, 24)])
async def test_text_from_outside_is_text(folder: Path, text: str, size: tuple[int, int]) -> None:
    async with operator(folder, how_to(folder), size) as user:
        draft = user.wizard.draft
        draft.put_host("k3s-agent", text, {"address": text, "roles": [text], "user": text})
        user.wizard.go("hosts")
        screen = await user.at("hosts")
        screen.query_one(HostTable).move_cursor(row=2)
        await user.press("enter")
        await user.on(HostDialog)
        await user.press("ctrl+s")
        await user.press("escape")
        await user.on(HostsScreen)
        assert "\x1b" not in user.text and "\u202e" not in user.text
        assert user.wizard.is_running
