"""The whole lab: up, down, fresh hosts, and ways in."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from . import authority, base, command, mounts, network, paths, processes, releases, repository
from .command import LabError
from .containers import Container
from .topology import GATEWAY, HOSTS, LAN, HostSpec


def _silent(_: str) -> None:
    pass


class Lab:
    """The lab of this machine; there is one, whether or not it is up.

    Every method may be called from any process: what exists is read from the system and from
    records on disk, not remembered in the object.
    """

    def __init__(self, say: Callable[[str], None] = _silent) -> None:
        self._say = say
        self.containers = {host.name: Container(host) for host in HOSTS}

    # -- life ---------------------------------------------------------------------------------

    def up(self, source: releases.Source | None = None) -> bool:
        """Bring the lab up with bare hosts; ``False`` when it was up already, and is left alone.

        ``source`` says which K3s the release server offers; without it, the stand-in. A second
        ``up`` with a source changes the offer. Takes about five seconds once the caches are
        filled, two minutes before.
        """
        with _only_one():
            if self.is_up():
                if source is not None:
                    releases.publish(source)
                return False
            self._tear_down()
            network.refuse_outside()
            image = base.ensure(self._say)
            packages = repository.ensure(image, self._say)
            paths.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._say("network: five hosts on a bridge without an uplink")
            network.up()
            self._identity()
            offered = releases.publish(source or releases.standin())
            self._say(f"services on {GATEWAY}: DNS, packages, releases ({offered})")
            self._serve(packages)
            self._say("booting " + ", ".join(self.containers))
            self._boot(list(self.containers.values()), image)
            state = {"base": str(image), "packages": str(packages)}
            paths.STATE_FILE.write_text(json.dumps(state))
        return True

    def down(self) -> None:
        """End and delete everything that ``up`` made, caches excepted; at any time, repeatedly."""
        with _only_one():
            self._tear_down()

    def fresh(self, *names: str) -> None:
        """Make hosts (all of them unless named) bare again; SSH host keys stay what they are.

        Raises:
            LabError: the lab is not up.
        """
        with _only_one():
            image = Path(str(self._state().get("base", "")))
            if not self.is_up():
                raise LabError("the lab is not up")
            paths.NAMES.unlink(missing_ok=True)
            chosen = [self.host(name) for name in names or self.containers]
            with ThreadPoolExecutor() as pool:
                list(pool.map(Container.kill, chosen))
            self._boot(chosen, image)

    def resolve(self, **addresses: str) -> None:
        """Let the name server know these names and no others but its own, until :meth:`fresh`."""
        new = paths.NAMES.with_suffix(".new")
        new.write_text("".join(f"{address} {name}\n" for name, address in addresses.items()))
        new.rename(paths.NAMES)

    def power_off(self, name: str) -> None:
        """Shut one host down; it keeps its files. :meth:`power_on` boots it again."""
        self.host(name).power_off()

    def power_on(self, name: str) -> None:
        """Boot a host that was shut down, and wait until SSH answers."""
        container = self.host(name)
        if container.pid is None:
            container.start()
        container.wait_ready()
        self._wait_for_ssh([container])

    def is_up(self) -> bool:
        """Whether ``up`` has finished and nothing that it started is missing.

        A host that is powered off counts as missing only when its file system is gone as well.
        """
        return (
            paths.STATE_FILE.exists()
            and network.exists()
            and processes.recorded(paths.SERVICES_RECORD) is not None
            and all(mounts.below(host.root) for host in self.containers.values())
        )

    # -- ways in ------------------------------------------------------------------------------

    def host(self, name: str) -> Container:
        """The host of that name.

        Raises:
            LabError: there is none.
        """
        try:
            return self.containers[name]
        except KeyError:
            known = ", ".join(self.containers)
            raise LabError(f"no host {name!r} in the lab; there are {known}") from None

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        within: float = 120.0,
        check: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the lab's network; ``env`` is added to this process's environment.

        Raises:
            subprocess.TimeoutExpired, subprocess.CalledProcessError (with ``check``).
        """
        return subprocess.run(
            network.inside(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=within,
            check=check,
        )

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int | None = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a command in the lab's network, its output in pipes, in a session of its own.

        ``ip netns exec`` becomes the command, so the process's pid is the command's: signals
        reach it.
        """
        return subprocess.Popen(
            network.inside(argv),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )

    def ssh(self, name: str, script: str, *, user: str = "ops", within: float = 60.0) -> str:
        """Run a script over SSH, as the product would, and return its standard output."""
        host = self.host(name)
        known = paths.STATE / "known_hosts"
        known.write_text(
            "".join(f"{h.host.address} {h.public_key}\n" for h in self.containers.values())
        )
        options = ["BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={known}"]
        argv = ["ssh", "-F", "none", "-i", str(paths.IDENTITY)]
        for option in options:
            argv += ["-o", option]
        argv += [f"{user}@{host.host.address}", "exec /bin/sh -s"]
        return command.run(network.inside(argv), stdin=script.encode(), within=within)

    @property
    def identity(self) -> Path:
        """Path of the private key that the hosts accept."""
        return paths.IDENTITY

    @property
    def addresses(self) -> dict[str, str]:
        """Address of each host."""
        return {host.name: host.address for host in HOSTS}

    @property
    def host_keys(self) -> dict[str, str]:
        """Public SSH key of each host, ``ssh-ed25519 AAAA…``."""
        return {name: host.public_key for name, host in self.containers.items()}

    def of_role(self, role: str) -> list[Container]:
        """The hosts of a role, in the profile's order."""
        return [host for host in self.containers.values() if host.host.role == role]

    def status(self) -> list[tuple[HostSpec, int | None, bool]]:
        """For every host: what it is, its init's pid (``None``: off), whether SSH answers."""
        answers: set[str] = set()
        if network.exists():
            answers = self._answering(HOSTS, within=5.0)
        return [
            (host.host, host.init, host.host.address in answers)
            for host in self.containers.values()
        ]

    # -- parts --------------------------------------------------------------------------------

    def _state(self) -> dict[str, object]:
        try:
            loaded = json.loads(paths.STATE_FILE.read_text())
        except (OSError, ValueError):
            return {}
        return dict(loaded)

    def _tear_down(self) -> None:
        # First the promise that the lab is whole, so that a crash in here is not taken for it.
        paths.STATE_FILE.unlink(missing_ok=True)
        with ThreadPoolExecutor() as pool:
            list(pool.map(Container.kill, self.containers.values()))
        processes.stop(paths.SERVICES_RECORD)
        for host in self.containers.values():
            host.discard()
        network.down()
        mounts.remove_tree(paths.STATE)

    def _identity(self) -> None:
        comment = "k3s-tui lab"
        if not paths.IDENTITY.exists():
            key = ["-t", "ed25519", "-N", "", "-C", comment, "-f", str(paths.IDENTITY)]
            command.run(["ssh-keygen", "-q", *key])

    def _serve(self, packages: Path) -> None:
        authority.issue_release_certificate()
        for log in (paths.RELEASES_LOG, paths.PACKAGES_LOG):
            log.touch()
        argv = [sys.executable, "-m", f"{__package__}.services", str(packages), LAN]
        processes.spawn(
            paths.SERVICES_RECORD,
            network.inside(argv),
            log=paths.SERVICES_LOG,
            cwd=paths.REPOSITORY,
        )

    def _boot(self, hosts: Sequence[Container], image: Path) -> None:
        for_real_k3s = releases.offers_real_k3s()

        def bring_up(host: Container) -> None:
            host.prepare(image, for_real_k3s=for_real_k3s)
            host.start()

        with ThreadPoolExecutor() as pool:
            list(pool.map(bring_up, hosts))
            list(pool.map(Container.wait_ready, hosts))
        self._wait_for_ssh(hosts)

    def _wait_for_ssh(self, hosts: Sequence[Container]) -> None:
        silent = {host.host.address for host in hosts}
        silent -= self._answering([host.host for host in hosts], within=60.0)
        if silent:
            raise LabError(f"no SSH at {', '.join(sorted(silent))} after 60 s")

    def _answering(self, hosts: Sequence[HostSpec], within: float) -> set[str]:
        argv = [sys.executable, "-m", f"{__package__}.reach", str(within)]
        argv += [host.address for host in hosts]
        done = self.run(argv, cwd=paths.REPOSITORY, within=within + 20)
        lines = [line.split() for line in done.stdout.decode().splitlines()]
        return {address for address, state in lines if state == "open"}


@contextmanager
def _only_one() -> Iterator[None]:
    with _locked(paths.UP_LOCK, within=600.0, what="being brought up or down"):
        yield


@contextmanager
def in_use(within: float) -> Iterator[None]:
    """Own the hosts: test sessions take turns, each waiting at most ``within`` seconds."""
    with _locked(paths.USE_LOCK, within=within, what="in use by another test session"):
        yield


@contextmanager
def _locked(path: Path, *, within: float, what: str) -> Iterator[None]:
    # The kernel drops a flock with its holder: no lock survives a crash.
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        deadline = time.monotonic() + within
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LabError(f"the lab is {what} ({path} is held)") from None
                time.sleep(0.2)
        yield
