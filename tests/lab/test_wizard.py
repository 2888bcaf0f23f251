"""The wizard on real hosts, in a real terminal: typed from nothing, interrupted, taken up again."""

from __future__ import annotations

import re
import signal
import subprocess
from functools import partial

import msgspec
import pytest

from k3s_tui.profile.load import load
from tests.tui.terminal import Terminal

from . import profile, releases
from .lab import Lab
from .operators import snapshot
from .product import Product
from .topology import HOSTS, USER
from .wizard import next_step, start, to_review, wizard

PASSPHRASE = "typed-in-the-wizard"
LONG = 240.0
"""Seconds for a whole run."""


def fill(tty: Terminal, text: str) -> None:
    """Replace what the focused field holds."""
    tty.press("End", "C-u")
    tty.type(text)


def add_host(tty: Terminal, name: str, address: str, role: str) -> None:
    tty.press("a")
    tty.until("Jump host")
    tty.type(name)
    tty.press("Tab")
    tty.type(address)
    for other in ("server", "agent", "datastore", "loadbalancer"):
        tty.press("Tab")
        if (other == role) != (other == "server"):  # which a new host is, unless one says no
            tty.press("Space")
    tty.press("C-s")
    tty.until(lambda screen: "Jump host" not in screen and name in screen)


def focus(tty: Terminal, help: str) -> None:
    """To the field that is explained so, by Tab."""
    for _ in range(12):
        tty.press("Tab")
        if help in tty.screen:
            return
    raise AssertionError(f"no field says: {help}\n{tty.screen}")


def fingerprint(key: str) -> str:
    done = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=key, capture_output=True, text=True, check=True
    )
    return done.stdout.split()[1]


def type_profile(tty: Terminal, lab: Lab) -> None:
    """From the welcome to the review, everything by the keyboard."""
    tty.until("New cluster")
    tty.press("Enter")
    tty.until("cluster.toml")
    fill(tty, "typed")
    tty.press("Enter")
    tty.until("1 Hosts]")
    for host in HOSTS:
        add_host(tty, host.name, host.address, host.role)
    focus(tty, "Who logs in on every host")
    fill(tty, USER)
    focus(tty, "for the keys of your SSH agent")
    fill(tty, str(lab.identity))
    focus(tty, "when the SSH user is root already")
    tty.press("Enter", "Up", "Enter")
    tty.until(lambda screen: re.search(r"Become root by +sudo", screen) is not None)
    for title in ("Certs", "Datastore", "Servers"):
        next_step(tty, title)
        if title == "Datastore":
            focus(tty, "How servers reach the database")
            fill(tty, "postgres.rancher.rke2")
            tty.until("postgres.rancher.rke2")
    fill(tty, releases.offered_version())
    for title in ("Balancer", "Agents", "Review"):
        next_step(tty, title)


def look(tty: Terminal, lab: Lab) -> None:
    """Make the store, and look at hosts that nobody knows yet."""
    tty.until("Nothing was looked at yet")
    tty.press("Enter")
    tty.until("The same again")
    tty.type(PASSPHRASE)
    tty.press("Enter")
    tty.type(PASSPHRASE)
    tty.press("Enter")
    known = {name: fingerprint(key) for name, key in lab.host_keys.items()}
    for _ in range(len(known)):
        screen = tty.until("Trust this key")
        text = " ".join(line.strip(" │|") for line in screen.splitlines())
        name = next(n for n in known if f"{n} shows a host key" in text)
        assert known.pop(name) in text.replace(" ", ""), text
        tty.press("Tab", "Enter")
        gone = f"{name} shows"
        tty.until(partial(_without, gone))
    tty.until("to change")


def look_again(tty: Terminal) -> None:
    """At hosts that are known, with the store that was made."""
    tty.press("Enter")
    tty.until("Passphrase of")
    tty.type(PASSPHRASE)
    tty.press("Enter")


def _without(text: str, screen: str) -> bool:
    return text not in screen


@pytest.fixture(scope="module")
def product(bare_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Product:
    product = Product(bare_hosts, tmp_path_factory.mktemp("wizard"))
    product.profile.unlink()
    product.profile.with_name("lab.lock.toml").unlink()
    product.profile = product.folder / "typed.toml"
    product.passphrase.write_text(PASSPHRASE)
    return product


def test_from_an_empty_screen_to_a_cluster(bare_hosts: Lab, product: Product) -> None:
    """What was typed is what the lab's own profile says, and makes the same cluster."""
    with wizard(product) as tty:
        type_profile(tty, bare_hosts)
        before = snapshot(bare_hosts)
        look(tty, bare_hosts)
        assert snapshot(bare_hosts) == before, "a look changes nothing"
        start(tty)
        tty.until("The cluster is up, and verified.", within=LONG)
        tty.press("C-q")
        assert tty.exit_status() == 0
        assert tty.is_sane()

    like = load(profile.write(product.folder / "like", bare_hosts, name="typed"))
    typed = load(product.profile)
    assert msgspec.structs.replace(typed, note=like.note) == like

    done = product.apply()
    assert done.status == 0, done
    assert not done.steps("changed"), "what the wizard saved replays headlessly with 0 changes"
    nodes = bare_hosts.host("k3s-server-1").sh("k3s kubectl get nodes --no-headers")
    assert len(re.findall(r"\bReady\b", nodes)) == 3


def test_no_secret_is_left_of_it(product: Product) -> None:
    secrets = [*product.secrets().values(), PASSPHRASE]
    for path in product.folder.rglob("*"):
        if path.is_file() and path not in (product.passphrase,):
            text = path.read_bytes()
            for secret in secrets:
                assert secret.encode() not in text or path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_in_the_middle(bare_hosts: Lab, product: Product, number: signal.Signals) -> None:
    """SIGTERM ends the run gently, and the wizard takes it up again; a lost terminal does not end
    it, and the wizard finds everything done.
    """
    bare_hosts.fresh()
    with wizard(product, product.profile.name) as tty:
        to_review(tty)
        look_again(tty)
        tty.until("to change")
        start(tty)
        tty.until("Setting up", within=60)
        tty.send(number)
        status = tty.exit_status(within=LONG)
        assert tty.is_sane()
        assert status == (143 if number == signal.SIGTERM else 0)

    with wizard(product) as tty:
        tty.until("Theme")  # below all profiles: each of their lines is there
        assert ("Resume typed.toml: stopped at " in tty.screen) == (number == signal.SIGTERM)
        tty.press("Down")
        if number == signal.SIGTERM:
            tty.press("Down", "Enter")
        else:
            tty.press("Enter")
            tty.until("1 Hosts]")
            tty.press("F8")
        tty.until("Nothing was looked at yet")
        look_again(tty)
        if number == signal.SIGTERM:
            tty.until("to change")
            start(tty)
        else:
            tty.until("everything is as wanted")
            start(tty, "Verify the cluster?")
        tty.until("The cluster is up, and verified.", within=LONG)
        tty.until("-standin")
        tty.press("C-q")
        assert tty.exit_status() == 0
    done = product.apply()
    assert done.status == 0, done
    assert not done.steps("changed"), done
