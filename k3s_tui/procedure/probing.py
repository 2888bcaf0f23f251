"""One host at a time, on demand, before there is a plan: can it be reached, and what is it?

Reads only.  The preflight's rules judge what was found, as far as one host can be judged alone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, TypeVar

from k3s_tui.core.ask import Ask
from k3s_tui.core.contract import Hands
from k3s_tui.core.errors import (
    CredentialsError,
    HostKeyUnknown,
    OperatorError,
    Refused,
    SudoDenied,
)
from k3s_tui.core.events import AnyEvent
from k3s_tui.core.secret import Secret
from k3s_tui.core.system import explained
from k3s_tui.engine.hands import StepHands
from k3s_tui.hosts import hostkeys
from k3s_tui.hosts.facts import Facts
from k3s_tui.hosts.ssh import Connector
from k3s_tui.hosts.transport import Transport
from k3s_tui.procedure import preflight
from k3s_tui.procedure.site import Site
from k3s_tui.procedure.targets import Look, asked_of_hosts, look_at, target, without_secrets
from k3s_tui.procedure.versions import Version
from k3s_tui.profile import lockfile
from k3s_tui.profile.model import Profile
from k3s_tui.profile.neighbours import lock_file

T = TypeVar("T")
Severity: TypeAlias = Literal["note", "warning", "error"]
State: TypeAlias = Literal["ready", "unknown-key", "failed"]
Sudo: TypeAlias = Literal["root", "passwordless", "password", "denied"]

CLOCK_NOTED, CLOCK_WARNED = 5, 30
"""Seconds between a host's clock and ours.  What the plan refuses is an error."""

_NEEDS_COMPANY = frozenset({"identity"})
"""Rules of the preflight that compare hosts: the plan's."""
_NEEDS_VERSION = frozenset({"architecture", "cgroups", "existing-k3s"})

_BY_SUDO = "k3s-tui-by-sudo"


@dataclass(frozen=True)
class Told:
    """Something to know about a host.  A `ready` host with an `error` would be refused."""

    text: str
    fix: str = ""
    severity: Severity = "error"


@dataclass(frozen=True)
class Found:
    """What one probe found; what is not known is empty or None.

    `sudo` is how the login becomes root: it is root, sudo asks for no password, sudo asks for one,
    or there is no way.  It is "password" also when the password is what is missing.
    `clock_skew` has seconds by which the host's clock is ahead of ours, and how far that can be
    off.  `key` is the host's key in OpenSSH format.  With `unknown-key` it is that of `key_of`,
    which may be a jump host on the way.
    """

    host: str
    state: State
    os: str = ""
    arch: str = ""
    sudo: Sudo | None = None
    clock_skew: tuple[float, float] | None = None
    fingerprint: str = ""
    key: str = ""
    key_of: str = ""
    problems: tuple[Told, ...] = ()
    facts: Facts | None = None


class Prober:
    """Probes the hosts of a profile that is still being written.

    `profile` may have stand-ins where it is wrong (`load.check`); `use` takes a later version of
    it.  Probes run side by side, share logins to jump hosts, and leave no connection behind.  A
    passphrase is asked for once, and again only when it was wrong.  `home` and `agent` as for
    Connector.
    """

    def __init__(
        self,
        profile: Profile,
        profile_path: Path,
        ask: Ask,
        *,
        sudo_password: Secret | None = None,
        home: Path | None = None,
        agent: str | None = None,
    ) -> None:
        self._profile = profile
        self._path = profile_path
        self._sudo_password = sudo_password
        self._home = home
        self._agent = agent
        self._ask = _Remembering(ask)
        self._pins: dict[str, str] = {}
        self._shared: _Shared | None = None
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def pins(self) -> Mapping[str, str]:
        """The host keys in the lock file, by host, as of the last probe."""
        return MappingProxyType(self._pins)

    def use(self, profile: Profile, profile_path: Path, sudo_password: Secret | None) -> None:
        """Probe by these from now on."""
        self._profile, self._path, self._sudo_password = profile, profile_path, sudo_password

    async def probe(self, name: str) -> Found:
        """Connect to a host of the profile and look at it.

        Whatever is wrong with the host, or with the way to it, is told in what is returned.
        """
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await self._probe(name)
        except OperatorError as error:
            return self._failed(name, error)
        except OSError as error:
            known = explained(error)
            if known is None:
                raise
            return self._failed(name, known)
        finally:
            self._running.discard(task)

    async def ask(self, name: str, question: Callable[[Hands], Awaitable[T]]) -> T:
        """Connect to a host of the profile, and let `question` look through it.

        Raises OperatorError, HostKeyUnknown for a key that was not confirmed yet.
        """
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            kept = await asyncio.to_thread(lockfile.load, lock_file(self._path))
            self._learn(kept.host_keys)
            async with self._connector() as connector:
                transport, _ = await self._connect(connector, name)
                try:
                    return await question(StepHands(transport, "", _unheard))
                finally:
                    await transport.close()
        except OSError as error:
            raise explained(error) or error from None
        finally:
            self._running.discard(task)

    async def trust(self, name: str, key: str) -> None:
        """Pin a key for `Found.key_of` in the lock file.

        Raises HostKeyDiffers, LockFileInvalid, Locked, or another OperatorError when the file
        cannot be written.
        """
        path = lock_file(self._path)
        try:
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            kept = await asyncio.to_thread(lockfile.pin_host_keys, path, {name: key})
        except OSError as error:
            raise explained(error) or error from None
        self._learn(kept.host_keys)

    async def close(self) -> None:
        """End the probes that are under way."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._ask.forget()

    async def _probe(self, name: str) -> Found:
        profile = self._profile
        if not profile.hosts[name].address:
            raise Refused("it has no address yet", host=name)
        self._learn((await asyncio.to_thread(lockfile.load, lock_file(self._path))).host_keys)
        async with self._connector() as connector:
            transport, asked = await self._connect(connector, name)
            try:
                look = await look_at(transport, _script(profile))
            finally:
                await transport.close()
            key = connector.host_keys.get(name, "")
        sudo: Sudo = "root"
        if f"{_BY_SUDO} yes".encode() in look.out.splitlines():
            sudo = "password" if asked else "passwordless"
        return Found(
            host=name,
            state="ready",
            os=look.facts.os_name or look.facts.os_id,
            arch=look.facts.arch,
            sudo=sudo,
            clock_skew=look.clock,
            fingerprint=hostkeys.fingerprint(key) if key else "",
            key=key,
            key_of=name,
            problems=judge(profile, self._path, name, look),
            facts=look.facts,
        )

    async def _connect(self, connector: Connector, name: str) -> tuple[Transport, bool]:
        """A connection, and whether it took the sudo password."""
        profile = self._profile

        async def log_in(password: Secret | None) -> Transport:
            where = target(name, profile.ssh, profile.hosts, self._pins, password)
            return await connector.connect(where)

        try:
            return await log_in(None), False
        except SudoDenied:
            if self._sudo_password is None:
                raise
        return await log_in(self._sudo_password), True

    @asynccontextmanager
    async def _connector(self) -> AsyncIterator[Connector]:
        """One for all probes that run side by side.

        Not for longer: it remembers key files, known_hosts and what went wrong with them, and the
        operator may have mended them before the next probe.
        """
        shared = self._shared
        if shared is None:
            fresh = Connector(ask=self._ask, pins=self._pins, home=self._home, agent=self._agent)
            shared = self._shared = _Shared(fresh)
        shared.users += 1
        try:
            yield shared.connector
        except CredentialsError as error:
            if type(error) is CredentialsError:  # no key could be used: a wrong passphrase, perhaps
                self._ask.forget()
                self._leave(shared)
            raise
        finally:
            shared.users -= 1
            if not shared.users:
                self._leave(shared)
                await shared.connector.close()

    def _leave(self, shared: _Shared) -> None:
        """Let the next probe begin anew."""
        if self._shared is shared:
            self._shared = None

    def _learn(self, pins: Mapping[str, str]) -> None:
        """In place: connectors hold the mapping."""
        self._pins.clear()
        self._pins.update(pins)

    def _failed(self, name: str, error: OperatorError) -> Found:
        if isinstance(error, HostKeyUnknown):
            return Found(
                name,
                "unknown-key",
                fingerprint=error.fingerprint,
                key=error.key,
                key_of=error.host,
                problems=(Told(error.text, error.hint, "note"),),
            )
        sudo: Sudo | None = None
        if isinstance(error, SudoDenied):
            sudo = "password" if "sudo needs a password" in error.text else "denied"
        # A jump host's trouble is told as that.
        text = error.text if error.host in ("", name) else str(error)
        key = self._pins.get(name, "")
        return Found(
            name,
            "failed",
            sudo=sudo,
            fingerprint=hostkeys.fingerprint(key) if key else "",
            key=key,
            key_of=name,
            problems=(Told(text, error.hint),),
        )


def matches(pasted: str, key: str) -> bool:
    """Whether what the operator pasted stands for `key` (OpenSSH format).

    Takes `SHA256:…` (prefix and padding may be missing), the MD5 form in hex, a public key, and
    lines that hold one of them: `ssh-keygen -l`, `ssh-keyscan`, `known_hosts`, a `.pub` file.
    """
    encoded = key.split()[1]
    blob = base64.b64decode(encoded)
    sha256 = hostkeys.fingerprint(key).removeprefix("SHA256:")
    md5 = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return any(
        word == encoded
        or _after(word, "SHA256:").rstrip("=") == sha256
        or _after(word, "MD5:").replace(":", "").lower() == md5
        for word in pasted.split()
    )


def _unheard(_: AnyEvent) -> None:
    """A question before there is a run is nobody's record."""


def _after(word: str, prefix: str) -> str:
    return word[len(prefix) :] if word.upper().startswith(prefix) else word


def judge(profile: Profile, profile_path: Path, name: str, look: Look) -> tuple[Told, ...]:
    """What is worth telling of one host, seen alone."""
    site = without_secrets(profile, profile_path, {name: look.facts}, {name: look.clock})
    told = dict(_by_preflight(site, name))
    more = [] if "existing-k3s" in told else [_about_k3s(look.facts)]
    if "clock" not in told and look.clock is not None:
        more.append(_about_clock(*look.clock))
    return (*told.values(), *filter(None, more))


def _by_preflight(site: Site, name: str) -> Iterator[tuple[str, Told]]:
    roles = set(site.profile.hosts[name].roles)
    for check, wanted, rule in preflight.RULES:
        if (wanted and not wanted & roles) or check in _NEEDS_COMPANY:
            continue
        if check in _NEEDS_VERSION and not _has_version(site.profile):
            continue
        problem = rule(site, name)
        if problem is not None:
            severity: Severity = "warning" if problem.warning else "error"
            yield check, Told(problem.text, problem.hint, severity)


def _has_version(profile: Profile) -> bool:
    try:
        Version.parse(profile.k3s.version)
    except ValueError:
        return False
    return True


def _about_k3s(facts: Facts) -> Told | None:
    if facts.k3s_role or facts.k3s_version:
        what = " ".join(filter(None, ("K3s", facts.k3s_version)))
        role = f", as {facts.k3s_role}" if facts.k3s_role else ""
        fix = "fine when it is this cluster's; the plan refuses one of another cluster"
        return Told(f"{what} is there already{role}", fix, "note")
    if facts.k3s_leftovers:
        left = ", ".join(facts.k3s_leftovers)
        fix = "remove that, unless it is this cluster's"
        return Told(f"an earlier K3s has left {left}", fix, "note")
    return None


def _about_clock(ahead: float, error: float) -> Told | None:
    apart = abs(ahead) - error
    if apart <= CLOCK_NOTED:
        return None
    way = "ahead of" if ahead > 0 else "behind"
    return Told(
        f"its clock is {abs(ahead):.0f} s {way} this machine's",
        "synchronize both: `timedatectl set-ntp true`, or chrony, and look at `timedatectl`",
        "warning" if apart > CLOCK_WARNED else "note",
    )


def _script(profile: Profile) -> str:
    # sudo says whose shell it is; a login as root has none of this.
    mode = f'[ -n "${{SUDO_UID:-}}" ] && echo {_BY_SUDO} yes\n'
    return mode + asked_of_hosts(profile)


@dataclass
class _Shared:
    """A connector, and how many probes use it."""

    connector: Connector
    users: int = 0


@dataclass
class _Remembering:
    """Keeps `Ask`: what was answered is not asked again."""

    ask: Ask
    answers: dict[str, Secret] = field(default_factory=dict)

    async def secret(self, question: str, *, flag: str) -> Secret:
        if question not in self.answers:
            self.answers[question] = await self.ask.secret(question, flag=flag)
        return self.answers[question]

    async def confirm(self, question: str, *, flag: str) -> bool:
        return await self.ask.confirm(question, flag=flag)

    def forget(self) -> None:
        self.answers.clear()
