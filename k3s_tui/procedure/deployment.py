"""One profile on its hosts: connect, look, plan, run, verify.

What every front end drives, and nothing of how it looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType

from k3s_tui.core.ask import Ask, HostKeyQuestion
from k3s_tui.core.contract import LAPTOP, Host
from k3s_tui.core.errors import HostKeyUnknown, StepFailed, TimedOut, UsageError
from k3s_tui.core.events import Emit
from k3s_tui.core.secret import Redactor, Secret
from k3s_tui.engine.connection import Connection, close_all, open_all
from k3s_tui.engine.graph import select
from k3s_tui.engine.lock import RunIdentity
from k3s_tui.engine.look import Lookout
from k3s_tui.engine.plan import Item, Plan, make_plan
from k3s_tui.engine.run import Run
from k3s_tui.hosts.local import local_transport
from k3s_tui.hosts.sanitize import LineDecoder, sanitize
from k3s_tui.hosts.ssh import Connector
from k3s_tui.hosts.target import Target
from k3s_tui.hosts.transport import Transport
from k3s_tui.pki.authority import Authority
from k3s_tui.procedure import adoption, database_files, own_pki
from k3s_tui.procedure.adoption import Adoption
from k3s_tui.procedure.database_files import DatabaseFiles
from k3s_tui.procedure.own_pki import OwnPki
from k3s_tui.procedure.site import Credentials, Site
from k3s_tui.procedure.targets import Look, asked_of_hosts, look_at, target
from k3s_tui.profile import lockfile
from k3s_tui.profile.lockfile import LockFile
from k3s_tui.profile.model import Profile
from k3s_tui.profile.neighbours import lock_file
from k3s_tui.profile.secrets import ClusterSecrets, Resolver

ACCEPT_FLAG = "--accept-host-key"
_INTRODUCTIONS = 4
"""Hosts on one way that may be unknown: more jumps than anybody has."""

_JOURNAL_SECONDS = 10
_JOURNAL = "journalctl -n 20 --no-pager 2>/dev/null || tail -n 20 /var/log/messages 2>&1"


@dataclass(frozen=True)
class Order:
    """What the operator asked for.

    `identity` is given when hosts are to be locked; `accept_host_keys` pins unknown keys without
    asking.  `only` are patterns as in `engine.graph.select`.  `allow_restart`: sessions of others
    in the datastore's PostgreSQL may be ended.
    """

    profile_path: Path
    profile: Profile
    identity: RunIdentity | None = None
    accept_host_keys: bool = False
    only: Sequence[str] = ()
    allow_restart: bool = False


class Deployment:
    """Holds the connections while it is entered.

    Entering resolves the secrets, connects to every host, and reads its facts.  Raises
    OperatorError, or ExceptionGroup of them when several hosts have something to say.
    """

    def __init__(
        self, order: Order, secrets: Resolver, ask: Ask, emit: Emit, redact: Redactor
    ) -> None:
        self._order = order
        self._secrets = secrets
        self._ask = ask
        self._emit = emit
        self._redact = redact
        self._introducing = asyncio.Lock()
        self._pins: dict[str, str] = {}
        self._connector = Connector(ask=ask, pins=self._pins)
        self._fleet: dict[Host, Connection] = {}
        self._lookout = Lookout(self._fleet, emit)
        self._site: Site | None = None

    async def __aenter__(self) -> Deployment:
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def plan(self) -> Plan:
        """What is, what would change, and why anything is refused."""
        from k3s_tui.procedure import cluster

        everything = cluster.build(self._known)
        guards = filter(cluster.is_preflight, everything)
        steps = select(everything, self._order.only, always=guards)
        return await make_plan(steps, self._lookout, self._emit)

    def run(self, plan: Plan) -> Run:
        """A run of that plan, not started yet, so that its caller can stop it."""
        return Run(plan, self._fleet, self._lookout, self._emit)

    def verification(self) -> Run:
        """A run that changes nothing: every proof is looked at, and waited for a little."""
        from k3s_tui.procedure import cluster

        steps = select(cluster.prove(self._known), self._order.only)
        return self.run(Plan({step: Item(step, "later") for step in steps}))

    async def requests(self) -> dict[str, str]:
        """A signing request (PEM) for each certificate that is signed elsewhere, by its name.

        Its key is made on the host, once, and stays there.  Raises OperatorError.
        """
        from k3s_tui.procedure import leaves
        from k3s_tui.resources.given_certificate import NO_OPENSSL

        wanted = own_pki.expected(self._order.profile)

        async def ask(name: str) -> str:
            on = Host(own_pki.host_of(self._order.profile, name))
            result = await self._fleet[on].transport.exec(leaves.request(self._known, name))
            if result.status:
                said = sanitize(result.err.decode(errors="replace").strip().rpartition("\n")[2])
                missing = result.status == NO_OPENSSL
                hint = leaves.by_hand(self._known, on.name) if missing else ""
                raise StepFailed(f"no signing request was made: {said}", hint=hint, host=on.name)
            return result.out.decode(errors="replace")

        return dict(zip(wanted, await asyncio.gather(*map(ask, wanted)), strict=True))

    async def journal_tail(self, host: Host) -> str:
        """The last lines of a host's journal, sanitized; not redacted.  Changes nothing.

        Raises OperatorError when the host is not connected, or does not answer in time.
        """
        try:
            async with asyncio.timeout(_JOURNAL_SECONDS):
                result = await self._fleet[host].transport.exec(_JOURNAL)
        except TimeoutError:
            raise TimedOut(
                f"the journal was not read within {_JOURNAL_SECONDS} s", host=host.name
            ) from None
        lines = LineDecoder()
        return "\n".join([*lines.feed(result.out), *lines.close()])

    @property
    def _known(self) -> Site:
        assert self._site is not None, "a Deployment is used as a context manager"
        return self._site

    async def _open(self) -> None:
        order = self._order
        # Opening the store takes as long as connecting to every host: both at once.  The chapters
        # take a third of the program's start, and nobody needs them before the hosts have answered.
        async with asyncio.TaskGroup() as both:
            opening = both.create_task(self._resolve())
            looking = both.create_task(self._look_at_all())
            both.create_task(asyncio.to_thread(import_module, "k3s_tui.procedure.cluster"))
        secrets, recorded, files, own = opening.result()
        found = looking.result()
        self._site = Site(
            profile=order.profile,
            profile_path=order.profile_path,
            facts={name: look.facts for name, look in found.items()},
            clocks={name: look.clock for name, look in found.items()},
            credentials=Credentials(secrets.datastore_password, secrets.token, secrets.agent_token),
            authority=own.authority if own else _authority(order.profile, secrets),
            leaves=own.leaves if own else {},
            recorded=recorded.checksums(order.profile.k3s.version, order.profile.install.script),
            pinned=frozenset(recorded.host_keys),
            database_files=files,
            adoption=await self._adoption(files.ca_pem),
            allow_restart=order.allow_restart,
        )

    async def _resolve(self) -> tuple[ClusterSecrets, LockFile, DatabaseFiles, OwnPki | None]:
        secrets = await self._secrets.cluster(self._order.profile)
        self._redact.learn(
            [secrets.datastore_password, secrets.token, secrets.agent_token, secrets.ca_key]
        )
        files = database_files.read(self._order.profile, self._order.profile_path)
        if files.pair is not None:
            self._redact.learn([files.pair.key])
        own = await self._own_pki()
        return secrets, lockfile.load(lock_file(self._order.profile_path)), files, own

    async def _own_pki(self) -> OwnPki | None:
        profile = self._order.profile
        if not profile.has_certificates or profile.has_authority:
            return None
        reference = profile.pki.ca_key_passphrase
        passphrase = None
        if reference is not None:
            passphrase = await self._secrets.resolve(reference, "pki.ca-key-passphrase")
            self._redact.learn([passphrase])
        own = own_pki.read(profile, self._order.profile_path, passphrase)
        keys = [leaf.key for leaf in own.leaves.values() if leaf.key is not None]
        self._redact.learn([key for key in (own.authority.key, *keys) if key])
        return own

    async def _look_at_all(self) -> dict[str, Look]:
        profile = self._order.profile
        self._pins.update(lockfile.load(lock_file(self._order.profile_path)).host_keys)
        sudo = await self._sudo_password()
        self._fleet[LAPTOP] = Connection(LAPTOP, _local, self._emit)
        for name in profile.hosts:
            self._fleet[Host(name)] = Connection(
                Host(name), self._connect(name, sudo), self._emit, self._order.identity
            )
        await open_all(self._fleet)
        self._pin_known()
        script = asked_of_hosts(profile)
        looks = await asyncio.gather(
            *(look_at(self._fleet[Host(name)].transport, script) for name in profile.hosts)
        )
        return dict(zip(profile.hosts, looks, strict=True))

    async def _adoption(self, given_ca: str) -> Adoption | None:
        profile = self._order.profile
        if profile.datastore.mode != "managed":
            return None
        on = self._fleet[Host(profile.datastore_host)]
        return await adoption.look_at(on.transport, profile, given_ca)

    async def _sudo_password(self) -> Secret | None:
        reference = self._order.profile.ssh.sudo_password
        if reference is None:
            return None
        password = await self._secrets.resolve(reference, "ssh.sudo-password")
        self._redact.learn([password])
        return password

    def _connect(self, name: str, sudo: Secret | None) -> Callable[[], Awaitable[Transport]]:
        def way() -> Target:
            profile = self._order.profile
            return target(name, profile.ssh, profile.hosts, self._pins, sudo)

        async def connect() -> Transport:
            # Each host on the way, jump hosts included, may have to be introduced.
            for _ in range(_INTRODUCTIONS):
                try:
                    return await self._connector.connect(way())
                except HostKeyUnknown as unknown:
                    await self._introduce(unknown)
            return await self._connector.connect(way())

        return connect

    async def _introduce(self, unknown: HostKeyUnknown) -> None:
        """Pin a key that the operator accepts; raises HostKeyUnknown when it is not accepted."""
        async with self._introducing:
            if self._pins.get(unknown.host) == unknown.key:
                return  # meanwhile, by another host behind the same jump host
            if not (self._order.accept_host_keys or await self._accepted(unknown)):
                raise unknown
            lockfile.pin_host_keys(lock_file(self._order.profile_path), {unknown.host: unknown.key})
            self._pins[unknown.host] = unknown.key

    def _pin_known(self) -> None:
        """Pin what known_hosts vouched for, jump hosts included: from now on the lock file decides.

        It also says, to everybody who has it, which hosts the profile once had.
        """
        shown = self._connector.host_keys
        new = {name: key for name, key in shown.items() if name not in self._pins}
        if new:
            lockfile.pin_host_keys(lock_file(self._order.profile_path), new)
            self._pins.update(new)

    async def _accepted(self, unknown: HostKeyUnknown) -> bool:
        question = HostKeyQuestion(
            "{host} shows the host key {fingerprint}, which is not known yet. Is it the right one?",
            host=unknown.host,
            fingerprint=unknown.fingerprint,
            key=unknown.key,
        )
        try:
            return await self._ask.confirm(question, flag=ACCEPT_FLAG)
        except UsageError:
            raise HostKeyUnknown(
                unknown.text,
                key=unknown.key,
                fingerprint=unknown.fingerprint,
                host=unknown.host,
                hint=f"compare the fingerprint with the host's own, then use {ACCEPT_FLAG}",
            ) from None

    async def _close(self) -> None:
        await close_all(self._fleet)
        await self._connector.close()


def _authority(profile: Profile, secrets: ClusterSecrets) -> Authority:
    if not profile.has_authority:
        return Authority(secrets.ca_key, secrets.ca_certificate)
    return Authority.from_pem(secrets.ca_key, secrets.ca_certificate)


async def _local() -> Transport:
    return local_transport()
