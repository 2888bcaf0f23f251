"""SSH connections: the one place where asyncssh is used, and where its surprises end.

A lost connection looks like success to it (`exit_status` None), unknown and changed host keys
look alike, its default decoding closes the connection on a stray byte, and it would read the
user's keys and known_hosts again for every host.  None of that leaves this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes.util
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from k3s_tui.core.address import endpoint
from k3s_tui.core.ask import Ask
from k3s_tui.core.contract import Host
from k3s_tui.core.errors import (
    CredentialsError,
    HostKeyChanged,
    Lost,
    Unreachable,
    UsageError,
)
from k3s_tui.hosts import hostkeys, reasons
from k3s_tui.hosts.forwarding import ForwardingFailed, ForwardingRefused, Reader, Writer
from k3s_tui.hosts.identities import Identities, Offer
from k3s_tui.hosts.known_hosts import Known, KnownHosts, KnownKey
from k3s_tui.hosts.limits import Logins, backoff, knock
from k3s_tui.hosts.route import Route
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.shell import ShellTransport
from k3s_tui.hosts.target import AGENT, Target, parse_jump
from k3s_tui.hosts.wire import ChannelRefused, Process

_find_library, ctypes.util.find_library = ctypes.util.find_library, lambda name: None
try:
    # It would look for two libraries by running ldconfig and even gcc, whichever is first in
    # PATH; nothing that they bring is used here.
    import asyncssh
finally:
    ctypes.util.find_library = _find_library

_CHUNK = 1 << 16
_ATTEMPTS = 8
SHELL_PATIENCE = 60.0
"""Seconds in which a shell has to say who it is, sudo's own patience included."""

_DISCIPLINE: Mapping[str, Any] = {
    # Twice as fast per byte as asyncssh's first choice, and OpenSSH has had it for ever.
    "encryption_algs": [
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
        "aes128-ctr",
    ],
    "compression_algs": ["none"],
    # Lost after 10 s of silence: TCP doubles the pauses between its own tries, so a connection
    # that was silent for longer would take as long again once the network is back.
    "keepalive_interval": 2.5,
    "keepalive_count_max": 3,
    "utf8_decode_errors": "replace",
    # Keys only: a password must never reach a host whose key nobody looked at.
    "preferred_auth": ["publickey"],
    "gss_host": None,
    "agent_forwarding": False,
    "x11_forwarding": False,
    "x509_trusted_certs": None,
}

R = TypeVar("R")
_Keys: TypeAlias = Offer[asyncssh.SSHKeyPair, asyncssh.SSHKey]


class Connector:
    """Makes connections for one run: keys, known_hosts and jump hosts are shared by all of them.

    `ask` is asked for passphrases, once per key; without it an encrypted key is an error.
    `pins` are host keys by target name, looked up anew for each connection; they count for targets
    without a `host_key` of their own (such as the jump hosts of ~/.ssh/config).  `home` is the
    folder that holds `.ssh`; `agent` is the path of ssh-agent's socket, '' for none.  Use as an
    async context manager, or call `close`.
    """

    def __init__(
        self,
        *,
        ask: Ask | None = None,
        pins: Mapping[str, str] | None = None,
        home: Path | None = None,
        agent: str | None = None,
    ) -> None:
        self._pins: Mapping[str, str] = {} if pins is None else pins
        self._folder = (home or Path.home()) / ".ssh"
        self._agent = agent if agent is not None else os.environ.get("SSH_AUTH_SOCK", "")
        self._identities = Identities(self._folder, ask, _decode, _certify, self._held)
        self._logins = Logins()
        self._known: dict[tuple[Path, ...], KnownHosts] = {}
        self._agents: dict[str, asyncssh.SSHAgentClient] = {}
        self._jumps: dict[Target, asyncio.Task[asyncssh.SSHClientConnection]] = {}
        self.host_keys: dict[str, str] = {}
        """The key that each connected host showed, by target name: what may be pinned."""

    async def __aenter__(self) -> Connector:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what the connections shared; they themselves must have been closed."""
        self._identities.close()
        for task in self._jumps.values():
            task.cancel()
        for jump in await asyncio.gather(*self._jumps.values(), return_exceptions=True):
            if not isinstance(jump, BaseException):
                jump.close()
        for agent in self._agents.values():
            agent.close()

    async def connect(self, target: Target) -> ShellTransport:
        """Log in, verify the host key and become root.

        Raises Unreachable, HostKeyUnknown, HostKeyChanged, AuthenticationFailed, SudoDenied,
        CredentialsError, UsageError (~/.ssh/config), Lost.
        """
        route = await self._route(target)
        connection = await self._open(route)
        transport = ShellTransport(
            Host(target.name), _SshWire(target.name, connection), user=route.user
        )
        try:
            async with asyncio.timeout(SHELL_PATIENCE):
                await transport.become(target.become, target.sudo_password)
        except TimeoutError:
            connection.abort()
            raise reasons.mute(host=target.name, user=route.user, seconds=SHELL_PATIENCE) from None
        except BaseException:
            connection.abort()
            raise
        return transport

    async def read_host_key(self, target: Target) -> tuple[str, str]:
        """The key that a host shows, and its fingerprint, without logging in to it.

        Jump hosts on the way are verified and logged in to.  Raises as `connect` does.
        """
        route = await self._route(target)
        known = await self._known_of(route)
        client = _Client(Known())
        try:
            connection = await self._dial(route, known, client, [])
        except asyncssh.HostKeyNotVerifiable:
            assert client.shown is not None
            return client.shown, hostkeys.fingerprint(client.shown)
        connection.abort()
        raise AssertionError("a client that trusts no key cannot have logged in")

    async def _route(self, target: Target, *behind: Target) -> Route:
        """The way to a target, itself on the way to those `behind` it."""
        if target in behind:
            names = " through ".join(hop.name for hop in (*reversed(behind), target))
            raise UsageError(
                f"{self._folder / 'config'} leads to {sanitize(names)}, in a circle",
                hint=f"give {sanitize(target.address)} `ProxyJump none` above what fits it, too",
            )
        try:
            options = await asyncssh.SSHClientConnectionOptions.construct(
                **self._place(target), client_keys=None, known_hosts=None, agent_path=None
            )
            route = self._routed(target, options)
        except Exception as error:  # its parser raises whatever it stumbles over
            told = str(error) if isinstance(error, OSError | ValueError) else repr(error)
            raise UsageError(
                f"cannot use {self._folder / 'config'} for {target.address}: {sanitize(told)}",
                host=target.name,
                hint=f"what does `ssh -G {target.address}` say?",
            ) from None
        if route.jump is not None:
            await self._route(route.jump, target, *behind)
        return route

    def _routed(self, target: Target, options: asyncssh.SSHClientConnectionOptions) -> Route:
        """Raises ValueError for what leads nowhere."""
        config = options.config
        if not 1 <= options.port <= 65535:
            raise ValueError(f"{options.port} is not a port")
        if not options.host.isprintable() or not options.host.encode("idna"):
            raise ValueError("HostName is not a host's name")
        jump, through = target.jump, cast("str | None", config.get("ProxyJump"))
        if jump is None and through:
            jump = parse_jump(through, connect_timeout=target.connect_timeout)
        files = cast("list[str] | None", config.get("UserKnownHostsFile"))
        agent = cast("str | None", config.get("IdentityAgent", "SSH_AUTH_SOCK"))
        return Route(
            target=target,
            address=options.host,
            port=options.port,
            user=options.username,
            alias=options.host_key_alias or "",
            jump=jump,
            proxied=jump is None and bool(options.proxy_command),
            files=(self._folder / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))
            if files is None
            else tuple(map(Path, files)),
            identities=tuple(cast("list[str]", config.get("IdentityFile", []))),
            identities_only=bool(config.get("IdentitiesOnly")),
            agent=self._agent if agent == "SSH_AUTH_SOCK" else agent or "",
        )

    def _place(self, target: Target) -> dict[str, Any]:
        config = self._folder / "config"
        return {
            "host": target.address,
            "port": target.port or (),
            "username": target.user or (),
            "config": [str(config)] if os.access(config, os.R_OK) else None,
        }

    async def _known_of(self, route: Route) -> Known:
        if route.files not in self._known:
            self._known[route.files] = await asyncio.to_thread(KnownHosts.read, route.files)
        known = self._known[route.files]
        found = known.find(route.alias) if route.alias else known.find(route.address, route.port)
        name = route.target.name
        try:
            return hostkeys.pinned(found, route.target.host_key or self._pins.get(name))
        except ValueError as error:
            raise CredentialsError(
                f"its pinned host key is unreadable: {error}", host=name
            ) from None

    async def _open(self, route: Route) -> asyncssh.SSHClientConnection:
        """A verified connection, logged in."""
        name = route.target.name
        keys = await self._identities.offer(route)
        known = await self._known_of(route)
        client = _Client(known)
        try:
            connection = await self._dial(route, known, client, keys)
        except asyncssh.HostKeyNotVerifiable as error:
            verdict = client.verdict
            if isinstance(verdict, hostkeys.Unknown | hostkeys.Changed):
                raise hostkeys.refusal(
                    verdict, client.shown or "", host=name, address=route.place
                ) from None
            raise HostKeyChanged(
                f"the host key of {route.place} is not trusted: {sanitize(str(error))}",
                host=name,
                hint="its certificate or its authority is revoked or expired",
            ) from None
        except asyncssh.PermissionDenied:
            explicit = None if route.target.identity == AGENT else route.target.identity
            raise reasons.refused(
                host=name, user=route.user, place=route.place, keys=len(keys), explicit=explicit
            ) from None
        shown = connection.get_server_host_key()
        if shown is not None:
            self.host_keys[name] = _text(shown)
        return connection

    async def _dial(
        self, route: Route, known: Known, client: _Client, keys: _Keys
    ) -> asyncssh.SSHClientConnection:
        """Connect, again when sshd drops us before the login (MaxStartups).

        Raises Unreachable, AuthenticationFailed; HostKeyNotVerifiable and PermissionDenied are
        left to those who know what was expected.
        """
        seconds = route.target.connect_timeout
        trusted: Any = ([], _keys(known.authorities), _keys(known.revoked))
        for attempt in range(_ATTEMPTS):
            tunnel = await self._tunnel(route.jump) if route.jump else None
            try:
                async with self._logins.one(route.limit), asyncio.timeout(seconds):
                    login = partial(
                        asyncssh.connect,
                        **self._place(route.target),
                        **_DISCIPLINE,
                        tunnel=tunnel,
                        proxy_command=() if route.proxied else None,
                        client_factory=lambda: client,
                        client_keys=keys or None,
                        agent_path=None,
                        known_hosts=lambda *_: trusted,
                        server_host_key_algs=hostkeys.algorithms(known),
                        connect_timeout=None,
                        login_timeout=seconds,
                    )
                    return await (login() if route.proxied else knock(login, client.answered))
            except (ConnectionResetError, BrokenPipeError, asyncssh.ConnectionLost) as error:
                if "timeout" in str(error) or attempt == _ATTEMPTS - 1:
                    raise self._unreachable(error, route, attempt + 1) from None
                await asyncio.sleep(backoff(attempt))
            except (asyncssh.HostKeyNotVerifiable, asyncssh.PermissionDenied):
                raise
            except (OSError, TimeoutError, asyncssh.Error) as error:
                if "Too many authentication failures" in str(error):
                    raise reasons.too_many(
                        host=route.target.name, user=route.user, place=route.place, keys=len(keys)
                    ) from None
                raise self._unreachable(error, route) from None
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, error: BaseException, route: Route, attempts: int = 0) -> Unreachable:
        name, place = route.target.name, route.place
        if attempts and "timeout" not in str(error):
            return reasons.dropped(error, host=name, place=place, attempts=attempts)
        if route.jump:
            place = f"{place} (through {route.jump.name})"
        seconds = route.target.connect_timeout
        return reasons.unreachable(error, host=name, place=place, seconds=seconds)

    async def _tunnel(self, jump: Target) -> asyncssh.SSHClientConnection:
        """The connection to a jump host, shared by all that go through it."""
        task = self._jumps.get(jump)
        if task is None or (task.done() and _is_dead(task)):
            task = asyncio.create_task(self._open_jump(jump))
            self._jumps[jump] = task
        return await asyncio.shield(task)

    async def _open_jump(self, jump: Target) -> asyncssh.SSHClientConnection:
        return await self._open(await self._route(jump))

    async def _held(self, agent: str) -> dict[bytes, asyncssh.SSHKeyPair]:
        """The agent's keys by their public blob; no agent holds none."""
        client = self._agents.setdefault(agent, asyncssh.SSHAgentClient(agent))
        try:
            return {pair.public_data: pair for pair in await client.get_keys()}
        except ValueError:
            return {}


class _Client(asyncssh.SSHClient):
    """Judges the key that a host shows, and remembers the verdict."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.answered = asyncio.Event()
        """There is a connection, on which nothing was said yet."""
        self.shown: str | None = None
        self.verdict: hostkeys.Verdict | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.answered.set()

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.shown = _text(key)
        self.verdict = hostkeys.judge(self._known, self.shown)
        return isinstance(self.verdict, hostkeys.Trusted)


class _SshProcess:
    """Keeps `Process`: a lost connection is an end of both streams and a status of None."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process

    async def write(self, data: bytes) -> bool:
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (OSError, asyncssh.Error):
            return False
        return True

    def write_eof(self) -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.stdin.write_eof()

    async def read_out(self) -> bytes:
        return await self._read(self._process.stdout)

    async def read_err(self) -> bytes:
        return await self._read(self._process.stderr)

    async def _read(self, stream: asyncssh.SSHReader[bytes]) -> bytes:
        try:
            return await stream.read(_CHUNK)
        except (OSError, asyncssh.Error):
            return b""

    async def wait(self) -> int | None:
        await self._process.wait_closed()
        ended_by = self._process.exit_signal
        if ended_by is not None:
            number = getattr(signal, f"SIG{ended_by[0]}", 0)
            return 128 + int(number)
        return self._process.exit_status

    def terminate(self) -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.terminate()

    def close(self) -> None:
        self._process.close()


class _SshWire:
    """Keeps `Wire` over one connection."""

    def __init__(self, name: str, connection: asyncssh.SSHClientConnection) -> None:
        self._name = name
        self._connection = connection

    async def start(self, command: str) -> Process:
        try:
            process = await self._connection.create_process(
                command, encoding=None, request_pty=False
            )
        except (OSError, asyncssh.Error) as error:
            raise self._refused_or_lost(error) from None
        return _SshProcess(process)

    def _refused_or_lost(self, error: Exception) -> Exception:
        if isinstance(error, asyncssh.ChannelOpenError) and not self._connection.is_closed():
            return ChannelRefused(str(error))
        return Lost(
            "the connection was lost",
            host=self._name,
            hint="run the same command again: it goes on from what the host shows",
        )

    async def dial(self, address: str, port: int) -> tuple[Reader, Writer]:
        try:
            return await self._connection.open_connection(address, port)
        except (OSError, asyncssh.Error) as error:
            broken = self._refused_or_lost(error)
            if isinstance(broken, Lost):
                raise broken from None
            if getattr(error, "code", None) == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                raise ForwardingRefused(
                    "the host's sshd does not forward TCP connections",
                    host=self._name,
                    hint="set `AllowTcpForwarding local` in its sshd_config",
                ) from None
            raise ForwardingFailed(
                f"the host cannot connect to {endpoint(address, port)}: {sanitize(str(error))}",
                host=self._name,
                hint="does it listen there, and does a firewall between allow it?",
            ) from None

    async def close(self) -> None:
        self._connection.close()
        try:
            async with asyncio.timeout(2):
                await self._connection.wait_closed()
        except TimeoutError:
            self._connection.abort()


def _is_dead(task: asyncio.Task[asyncssh.SSHClientConnection]) -> bool:
    return task.cancelled() or task.exception() is not None or task.result().is_closed()


def _text(key: asyncssh.SSHKey) -> str:
    return hostkeys.normalize(key.export_public_key().decode())


def _understood(read: Callable[[], R]) -> R:
    """What asyncssh reads of a file.  Raises OSError, and ValueError whatever it stumbles over."""
    try:
        return read()
    except (OSError, ValueError, asyncssh.Error) as error:
        if isinstance(error, OSError):
            raise
        raise ValueError(str(error)) from None
    except Exception as error:  # IndexError, re.error, OverflowError, …
        raise ValueError(f"it is damaged ({type(error).__name__})") from None


def _decode(data: bytes, passphrase: str | None) -> asyncssh.SSHKey:
    return _understood(lambda: asyncssh.import_private_key(data, passphrase))


def _certify(key: asyncssh.SSHKey, certificate: Path) -> None:
    """Raises OSError or ValueError when this is not a certificate of the key."""
    _understood(lambda: asyncssh.load_keypairs([(key, str(certificate))]))


def _keys(known: tuple[KnownKey, ...]) -> list[asyncssh.SSHKey]:
    """Those of the keys that asyncssh understands; it cannot be shown any other."""
    keys = []
    for one in known:
        with contextlib.suppress(ValueError):
            keys.append(_understood(partial(asyncssh.import_public_key, one.key)))
    return keys
