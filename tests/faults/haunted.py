"""A cluster whose every secret is a canary, and all that was written on the way to it."""

from __future__ import annotations

import asyncio
import signal
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.procedure import report
from k3s_tui.profile.store import CA_KEY, Store
from tests.faults.canaries import Canary, Nest, word
from tests.faults.execs import Started, of_pid_namespace, watched
from tests.faults.tally import FULL, Row
from tests.lab.containers import Container
from tests.lab.lab import Lab
from tests.lab.product import Done, Product
from tests.lab.test_interruption import running
from tests.lab.topology import PASSWORD_USER
from tests.lab.wizard import start, wizard
from tests.tui.terminal import Terminal

DATASTORE, TOKEN, AGENT_TOKEN = "datastore.password", "k3s.token", "k3s.agent-token"
SUDO, PASSPHRASE = "sudo password", "passphrase"
WRONG = "given wrongly"
"""Canaries that were typed or stored where they do not fit: as secret as the right ones."""

SECRETS_FILE = "/etc/rancher/k3s/config.yaml.d/50-secrets.yaml"

KILLS = (
    ("step-started", "postgres/datastore/role"),
    ("line", "k3s-server-1/servers/k3s"),
    ("step-started", "k3s-server-2/servers/k3s"),
    ("step-started", "k3s-agent/agents/k3s"),
    ("step-started", "k3s-server-2/verification/datastore-login"),
)
"""Where the tool is killed, in the order in which it comes there; in `make test` at one of them."""

Found = dict[str, tuple[set[str], int]]
"""Files of a host that hold canaries: which, and the file's mode."""


class HauntedProduct(Product):
    """An operator on the lab's hosts whose temporary files are in a folder of their own."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        super().__init__(lab, folder, user=PASSWORD_USER, sudo_password="file:sudo-password")
        (folder / "tmp").mkdir()

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "TMPDIR": str(self.folder / "tmp")}

    def put(self, name: str, text: str) -> Path:
        """A file of the operator's own, 0600."""
        path = self.folder / name
        path.touch(0o600)
        path.write_text(text + "\n")
        return path

    def store(self, **values: str) -> None:
        """Put values into the store, by keys with `_` for `.`, as `secret set` would."""

        named = {key.replace("_", ".", 1): Secret(text) for key, text in values.items()}
        changed = self.opened().put({k.replace("_", "-"): v for k, v in named.items()})
        asyncio.run(changed.save())

    def opened(self) -> Store:
        passphrase = Secret(self.passphrase.read_text().rstrip())
        return asyncio.run(Store.open(self.profile.with_suffix(".secrets"), passphrase))


@dataclass
class Haunted:
    """What was done, and where everything is that it left."""

    product: HauntedProduct
    nest: Nest
    values: Mapping[str, str]
    started: Started
    runs: dict[str, Done] = field(default_factory=dict)
    screens: Path = Path()
    """Every byte that the wizard sent to its terminal."""
    report: Path = Path()
    told: str = ""
    """The words and the environment of a running tool."""
    left: dict[str, dict[str, Found]] = field(default_factory=dict)
    """By where the tool was killed, and host: what was there then."""

    @property
    def hosts(self) -> Mapping[str, Container]:
        return self.product.lab.containers


def values() -> dict[str, str]:
    """A value for each secret: the awkward ones need quoting in sh, SQL, YAML, TOML and a URL."""
    return {
        DATASTORE: f"p'q\"%/{word()}$x\\&@:?#",
        TOKEN: f"t'%${word()}/+",
        AGENT_TOKEN: f"a'%${word()}/+",
        SUDO: f"s'%$ {word()}\"",
        PASSPHRASE: f"p'%$ {word()}\"",
        WRONG: f"w'%{word()}",
    }


def core(value: str) -> bytes:
    """The random part of a value."""
    return max(
        "".join(c if c.isascii() and c.isalnum() else " " for c in value).split(), key=len
    ).encode()


@contextmanager
def haunt(lab: Lab, folder: Path) -> Iterator[Haunted]:
    """From bare hosts: refused, killed half-way, finished, verified, and shown by the wizard."""
    product = HauntedProduct(lab, folder)
    given = values()
    product.put("sudo-password", given[SUDO])
    product.passphrase.write_text(given[PASSPHRASE] + "\n")
    assert product.init().status == 0
    product.store(
        datastore_password=given[DATASTORE],
        k3s_token=given[TOKEN],
        k3s_agent_token=given[AGENT_TOKEN],
    )
    for host in lab.containers.values():
        # The script is read from standard input by a shell whose builtin says it.
        quoted = f"{PASSWORD_USER}:{given[SUDO]}".replace("'", "'\\''")
        host.sh(f"printf '%s\\n' '{quoted}' | chpasswd")
    ca_key = product.opened().get(CA_KEY).reveal()
    nest = Nest(
        [
            *(Canary.of(name, core(value)) for name, value in given.items()),
            Canary.of_pem(CA_KEY, ca_key),
        ]
    )
    with hosts_watched(lab, folder) as started:
        haunted = Haunted(product, nest, {**given, CA_KEY: ca_key}, started)
        _runs(haunted)
        yield haunted


@contextmanager
def hosts_watched(lab: Lab, folder: Path) -> Iterator[Started]:
    """Every program that the hosts start meanwhile, written down beside the operator's folder."""
    inits = [host.init for host in lab.containers.values()]
    pids = [pid for init in inits if init for pid in of_pid_namespace(init)]
    with watched(folder.parent / f"{folder.name}-started", pids) as started:
        yield started


def _runs(haunted: Haunted) -> None:
    product, given, runs = haunted.product, haunted.values, haunted.runs

    product.put("sudo-password", given[WRONG])
    runs["wrong sudo password"] = product.apply()
    product.put("sudo-password", given[SUDO])
    product.passphrase.write_text(given[WRONG] + "\n")
    runs["wrong passphrase"] = product.apply()
    product.passphrase.write_text(given[PASSPHRASE] + "\n")

    for kind, step in KILLS if FULL else KILLS[1:2]:
        with running(product) as run:
            run.until_event(kind, step)
            haunted.told = "".join(
                Path(f"/proc/{run.process.pid}/{name}").read_text()
                for name in ("cmdline", "environ")
            )
            run.send(signal.SIGKILL)
            killed = run.ended(10)
        runs[f"killed at {step}"] = killed
        haunted.left[step] = {
            name: files_of(host, haunted.nest) for name, host in haunted.hosts.items()
        }

    runs["apply"] = product.run("apply", product.profile, "--yes", "-v")

    product.store(datastore_password=given[WRONG])
    # A login that fails is tried for half a minute before it is told.
    verb = ("verify", product.profile) if FULL else ("plan", product.profile, "-v")
    runs["wrong database password"] = product.run(*verb)
    product.store(datastore_password=given[DATASTORE], k3s_token=given[WRONG])
    runs["another cluster's token"] = product.apply()
    product.store(k3s_token=given[TOKEN])

    # A file that is wholly secret differs: the wizard must show no line of it.
    haunted.hosts["k3s-server-1"].sh(f"echo '# drift' >>{SECRETS_FILE}")
    haunted.screens = _wizard(haunted)
    events = max(product.recordings(), key=lambda path: path.stat().st_mtime)
    # Without knowing a single secret: nothing may have come so far that it must be masked here.
    haunted.report = report.save(events, product.profile, Redactor())


def _wizard(haunted: Haunted) -> Path:
    """Every screen of it, the passphrase typed, and a whole run."""
    product = haunted.product
    captured = product.folder / "screens"
    with wizard(product, product.profile.name) as tty:
        record(tty, captured)
        tty.until("1 Hosts]")
        for title in ("Certs", "Datastore", "Servers", "Balancer", "Agents", "Review"):
            tty.press("C-n")
            tty.until(f" {title}]")
        tty.until("Nothing was looked at yet")
        tty.press("Enter")
        tty.until("Passphrase of")
        tty.type(haunted.values[WRONG])
        tty.press("Enter")
        tty.until("does not open")
        tty.press("Enter")
        tty.until("Passphrase of")
        tty.type(haunted.values[PASSPHRASE])
        tty.press("Enter")
        tty.until("to change", within=120)
        start(tty)
        tty.until("The cluster is up, and verified.", within=240)
        tty.press("C-q")
        assert tty.exit_status() == 0
    return captured


def record(tty: Terminal, target: Path) -> None:
    """Write down all that the terminal is sent from now on."""
    tty._tmux("pipe-pane", f"cat >>{target}")


def clean(row: Row, found: object) -> None:
    """Nothing was found, or the tally says so."""
    if found:
        row.canaries += 1
    assert not found, found


def files_of_laptop(folder: Path, nest: Nest) -> Found:
    """Files of an operator's folder that hold a canary, by their paths in it."""
    return {
        str(path.relative_to(folder)): (names, stat.S_IMODE(path.stat().st_mode))
        for path, names in nest.below(folder).items()
    }


def files_of(host: Container, nest: Nest) -> Found:
    """Files of a host that hold a canary, also what is in memory only."""
    root = Path(f"/proc/{host.init}/root")
    tops = {
        host.folder / "layers" / "upper": "",
        host.folder / "rancher": "/var/lib/rancher",
        **{root / top: f"/{top}" for top in ("run", "tmp", "dev/shm", "var/tmp")},
    }
    found: Found = {}
    for top, prefix in tops.items():
        # The journal is read by its own tool, which undoes its compression.
        for path, names in nest.below(top, but=[Path("journal")]).items():
            mode = stat.S_IMODE(path.lstat().st_mode)
            found[f"{prefix}/{path.relative_to(top)}"] = (names, mode)
    return found
