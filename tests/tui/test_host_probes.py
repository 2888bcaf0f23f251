"""Step 1: hosts looked at over a real sshd, and the keys that nobody has confirmed yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import Button, TextArea

from k3s_tui.hosts.hostkeys import fingerprint
from k3s_tui.procedure.probing import Found
from k3s_tui.profile import lockfile
from k3s_tui.profile.neighbours import lock_file
from k3s_tui.tui import language
from k3s_tui.tui.dialogs.confirm import ConfirmDialog
from k3s_tui.tui.dialogs.host import HostDialog
from k3s_tui.tui.dialogs.host_key import HostKeyDialog, grouped
from k3s_tui.tui.dialogs.secret import SecretDialog
from k3s_tui.tui.screens.hosts import HostsScreen
from tests.ssh.sshd import Sshd, free_port, keygen, public, running_sshd
from tests.tui.operator import Operator, how_to, operator

PASSPHRASE = "canary of the probes"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0TJ5Z6yqLp0h0PHkzv5YcUVbIu1y0L0nGdGDCfb0qS"


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """On five addresses, each of which is a host of its own."""
    with running_sshd("\n".join(f"ListenAddress 127.0.0.{n}" for n in (2, 3, 4, 5))) as server:
        locked = keygen(server.folder / "locked", passphrase=PASSPHRASE)
        with (server.folder / "authorized_keys").open("a") as file:
            file.write(public(locked) + "\n")
        yield server


def profile(folder: Path, server: Sshd, *hosts: str, port: int = 0, identity: str = "") -> Path:
    """A profile that is far from finished; `hosts` are TOML below `[hosts.NAME]`."""
    path = folder / "unfinished.toml"
    tables = [
        f'[hosts.h{n}]\naddress = "127.0.0.{n}"\nroles = ["agent"]\n{more}'
        for n, more in enumerate(hosts or ("",), 1)
    ]
    path.write_text(
        f'schema = 1\nname = "unfinished"\n[ssh]\nuser = "root"\nbecome = "root"\n'
        f'identity = "{identity or server.identity}"\nport = {port or server.port}\n'
        + "\n".join(tables)
    )
    return path


async def hosts_of(user: Operator) -> HostsScreen:
    screen = await user.at("hosts")
    assert isinstance(screen, HostsScreen)
    return screen


async def probed(user: Operator, screen: HostsScreen, name: str, state: str) -> Found:
    """Wait until a host was looked at, and how it stands is known."""
    await user.until(
        lambda: name in screen.found and screen.found[name].state == state, f"{name} {state}"
    )
    await user.on(HostsScreen)
    return screen.found[name]


async def test_a_key_is_compared_and_trusted(folder: Path, sshd: Sshd) -> None:
    path = profile(folder, sshd)
    async with operator(folder, path, (120, 40)) as user:
        screen = await hosts_of(user)
        await user.press("p")
        dialog = await user.on(HostKeyDialog)
        assert isinstance(user.focused, Button) and user.focused.id == "not-now"
        fingerprint = screen.found["h1"].fingerprint
        await user.sees(grouped(fingerprint))
        assert grouped(fingerprint).replace(" ", "") == fingerprint
        await user.press("y")
        assert user.wizard.clipboard == fingerprint

        area, trust = dialog.query_one(TextArea), dialog.query_one("#trust", Button)
        area.focus()
        await user.type("SHA256:nonsense")
        await user.sees("they are NOT the same")
        assert trust.disabled
        area.text = "\x1b]0;owned\x07[/usr]"
        await user.sees("[/usr]")
        assert trust.disabled and "\x1b" not in user.text
        for right in (fingerprint, sshd.host_key, f"# h1 SSH-2.0\n[h1]:22 {sshd.host_key}\n"):
            area.text = right
            await user.sees("they are the same")
            assert not trust.disabled
        await user.press("tab", "tab", "tab", "enter")
        found = await probed(user, screen, "h1", "ready")
        assert found.sudo == "root" and found.os and found.arch
        for words in ("logs in as root", "the same as here", found.os, fingerprint):
            await user.sees(words)
        kept = lockfile.load(lock_file(path)).host_keys
        assert kept == {"h1": sshd.host_key}

        # Coming back shows it; another way to the host drops it.
        await user.press("ctrl+n")
        user.wizard.go("certificates")
        await user.at("certificates")
        await user.press("escape")
        screen = await hosts_of(user)
        assert screen.found == {"h1": found}
        await user.sees("logs in as root")
        for place, other in (
            (("hosts", "h1", "address"), "127.0.0.9"),
            (("hosts", "h1", "user"), "mail"),
            (("hosts", "h1", "port"), 23),
            (("hosts", "h1", "jump"), "mail@192.0.2.1"),
            (("ssh", "user"), "mail"),
            (("ssh", "identity"), "agent"),
        ):
            before = screen.draft.get(place)
            screen.draft.set(place, other)
            assert screen.found == {}, place
            screen.draft.set(place, before)
            assert screen.found == {"h1": found}


@pytest.mark.parametrize("size", [(60, 15), (80, 24)])
async def test_not_now_trusts_nothing(folder: Path, sshd: Sshd, size: tuple[int, int]) -> None:
    path = profile(folder, sshd)
    async with operator(folder, path, size) as user:
        screen = await hosts_of(user)
        await user.press("p")
        await user.on(HostKeyDialog)
        assert "SHA256:" in user.text and "Trust this key" in user.text
        await user.press("enter")
        await probed(user, screen, "h1", "unknown-key")
        await user.sees("! new host key")
        assert lockfile.load(lock_file(path)).host_keys == {}
        await user.until(lambda: not screen.workers, "no question any more")
        assert user.wizard.screen is screen


async def test_a_changed_key_is_never_offered(folder: Path, sshd: Sshd) -> None:
    path = profile(folder, sshd)
    lockfile.pin_host_keys(lock_file(path), {"h1": OTHER_KEY})
    async with operator(folder, path, (120, 40)) as user:
        screen = await hosts_of(user)
        await user.press("p")
        await probed(user, screen, "h1", "failed")
        await user.sees("has changed: it shows SHA256:")
        await user.sees("Try")
        await user.until(lambda: not screen.workers, "no question")
        assert user.wizard.screen is screen
        assert lockfile.load(lock_file(path)).host_keys == {"h1": OTHER_KEY}


async def test_an_unreachable_host_and_what_to_do(folder: Path, sshd: Sshd) -> None:
    async with operator(folder, profile(folder, sshd, port=free_port())) as user:
        screen = await hosts_of(user)
        await user.press("p")
        await probed(user, screen, "h1", "failed")
        await user.sees("✗ failed")
        await user.sees("✗ nothing listens on 127.0.0.1")
        await user.sees("is sshd running there")


def is_gone(dialog: HostKeyDialog) -> bool:
    return dialog.app.screen is not dialog


async def test_all_are_probed_side_by_side_and_asked_about_in_turn(
    folder: Path, sshd: Sshd
) -> None:
    """A jump host's key is asked about once, for all that are behind it."""
    path = profile(folder, sshd, "", 'jump = "h1"', 'jump = "h1"')
    async with operator(folder, path, (120, 40)) as user:
        screen = await hosts_of(user)
        await user.press("P")
        asked = []
        for _host in range(3):
            dialog = await user.on(HostKeyDialog)
            asked.append(dialog._host)
            dialog.query_one("#trust", Button).press()
            await user.until(partial(is_gone, dialog), "answered")
        for name in ("h1", "h2", "h3"):
            await probed(user, screen, name, "ready")
        assert asked[0] == "h1" and sorted(asked) == ["h1", "h2", "h3"]
        assert set(lockfile.load(lock_file(path)).host_keys) == {"h1", "h2", "h3"}


async def test_no_for_a_jump_host_is_no_for_all_behind_it(folder: Path, sshd: Sshd) -> None:
    path = profile(folder, sshd, "", 'jump = "h1"', 'jump = "h1"')
    async with operator(folder, path) as user:
        screen = await hosts_of(user)
        await user.press("P")
        await user.on(HostKeyDialog)
        await user.press("escape")
        await user.until(lambda: not screen.workers, "no more questions")
        assert user.wizard.screen is screen
        assert {found.key_of for found in screen.found.values()} == {"h1"}


async def test_a_passphrase_is_asked_for_once(folder: Path, sshd: Sshd) -> None:
    path = profile(folder, sshd, "", "", identity=str(sshd.folder / "locked"))
    lockfile.pin_host_keys(lock_file(path), {"h1": sshd.host_key, "h2": sshd.host_key})
    async with operator(folder, path) as user:
        screen = await hosts_of(user)
        await user.press("P")
        await user.on(SecretDialog)
        await user.type(PASSPHRASE)
        assert PASSPHRASE not in user.text
        await user.press("enter")
        for name in ("h1", "h2"):
            await probed(user, screen, name, "ready")
        user.wizard.go("hosts")
        screen = await hosts_of(user)
        user.wizard.found.clear()
        await user.press("p")
        await probed(user, screen, "h1", "ready")


def finished(folder: Path, server: Sshd, identity: Path) -> Path:
    """The how-to's profile, with all of its hosts on this sshd."""
    path = how_to(folder)
    text = path.read_text().replace('sudo-password = "prompt:"', "")
    for number, last in enumerate((54, 154, 196, 212, 118), 1):
        text = text.replace(f'"10.161.129.{last}"', f'"127.0.0.{number}"')
    text = text.replace('user = "sles"', f'user = "root"\nport = {server.port}')
    text = text.replace('become = "sudo"', 'become = "root"')
    path.write_text(text.replace('identity = "agent"', f'identity = "{identity}"'))
    return path


@pytest.mark.parametrize("locked", [False, True])
async def test_the_look_before_a_run_asks_in_the_operators_language(
    folder: Path, sshd: Sshd, locked: bool
) -> None:
    language.use("zh_CN")
    path = finished(folder, sshd, sshd.folder / "locked" if locked else sshd.identity)
    passphrase = folder / "passphrase"
    passphrase.write_text(PASSPHRASE)
    passphrase.chmod(0o600)
    async with operator(folder, path, passphrase_file=passphrase) as user:
        await user.at("hosts")
        user.wizard.go("review")
        screen = await user.at("review")
        await user.press("p")
        if locked:
            await user.on(SecretDialog)
            await user.sees(f"SSH 密钥 {sshd.folder / 'locked'} 的口令")
            await user.type(PASSPHRASE)
            await user.press("enter")
        for _host in range(5):
            dialog = await user.on(HostKeyDialog)
            await user.sees("出示了尚不认识的主机密钥")
            await user.sees(grouped(fingerprint(sshd.host_key)))
            await user.press("escape")
            await user.until(partial(is_gone, dialog), "answered")
        await user.until(lambda: user.wizard.screen is screen and not screen.workers, "looked")
        assert lockfile.load(lock_file(path)).host_keys == {}
        await user.sees("k3s-server-1")


async def test_a_key_that_cannot_be_kept_is_not_trusted(folder: Path, sshd: Sshd) -> None:
    path = profile(folder, sshd)
    async with operator(folder, path, (120, 40)) as user:
        screen = await hosts_of(user)
        await user.press("p")
        dialog = await user.on(HostKeyDialog)
        lock_file(path).mkdir()
        dialog.query_one("#trust", Button).press()
        await probed(user, screen, "h1", "failed")
        await user.sees("✗ failed")
        await user.sees(lock_file(path).name)


async def test_what_is_not_right_is_not_probed(folder: Path, sshd: Sshd) -> None:
    path = profile(folder, sshd, "", 'jump = "h2"', 'labels = {"a b" = "c"}')
    lockfile.pin_host_keys(lock_file(path), {f"h{n}": sshd.host_key for n in (1, 2, 3)})
    async with operator(folder, path) as user:
        screen = await hosts_of(user)
        await user.press("P")
        # A label is nothing on the way to a host.
        for name in ("h1", "h3"):
            await probed(user, screen, name, "ready")
        assert "h2" not in screen.found
        screen.draft.set(("ssh", "port"), "none")
        user.wizard.found.clear()
        await user.press("p")
        await user.until(lambda: user.wizard._notifications, "a word")
        assert not screen.workers and not screen.found


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, asyncio.Event, asyncio.Event]]:
    """A port where nobody answers: when somebody has come, and when he has gone."""
    came, gone = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], came, gone


@pytest.mark.parametrize("way", ["leave", "delete", "rename"])
async def test_a_probe_ends_with_its_screen_or_its_host(folder: Path, sshd: Sshd, way: str) -> None:
    async with silent() as (port, came, gone):  # noqa: SIM117
        async with operator(folder, profile(folder, sshd, port=port)) as user:
            await hosts_of(user)
            await user.press("p")
            await user.sees("… probing")
            await user.until(came.is_set, "a connection")
            if way == "leave":
                await user.press("ctrl+n")
                user.wizard.go("datastore")
                await user.at("datastore")
            elif way == "delete":
                await user.press("d")
                await user.on(ConfirmDialog)
                await user.press("tab", "enter")
            else:
                await user.press("enter")
                await user.on(HostDialog)
                await user.type("other")
                await user.press("enter")
            await user.until(gone.is_set, "the end of the connection")
            if way != "leave":
                screen = await hosts_of(user)
                await user.until(lambda: not screen.workers, "the end of the probe")
                assert "probing" not in user.text
            assert not user.wizard.found
            assert user.wizard.is_running
