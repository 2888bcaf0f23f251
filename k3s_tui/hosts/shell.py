"""A transport over any wire: root shells that take a script, say what it says, and end with it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Literal

from k3s_tui.core.contract import Host
from k3s_tui.core.errors import CredentialsError, Lost, OperatorError, Refused, StepFailed
from k3s_tui.core.secret import Secret
from k3s_tui.hosts import call as framing
from k3s_tui.hosts.call import Call
from k3s_tui.hosts.conversation import Conversation
from k3s_tui.hosts.forwarding import Reader, Writer, relay
from k3s_tui.hosts.limits import CHANNELS, backoff
from k3s_tui.hosts.privilege import LOOK, Privilege, choose, denied
from k3s_tui.hosts.reasons import of_disk
from k3s_tui.hosts.receiving import NOT_THE_SAME, receive
from k3s_tui.hosts.sanitize import sanitize, sanitize_block
from k3s_tui.hosts.transport import Result
from k3s_tui.hosts.wire import ChannelRefused, Process, Wire

_CHUNK = 1 << 18
_SUDO_PATIENCE = 30.0
_END_PATIENCE = 5.0


class ShellTransport:
    """Keeps `Transport`.  Made by `ssh.Connector.connect` and `local.LocalTransport`."""

    def __init__(self, host: Host, wire: Wire, *, user: str = "", owner: str = "root:root") -> None:
        self._host = host
        self._wire = wire
        self._user = user
        self._owner = owner
        self._privilege = Privilege()
        self._slots = asyncio.Semaphore(CHANNELS)
        self._ending_slots = asyncio.Semaphore(2)
        self._passing = 0
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def host(self) -> Host:
        return self._host

    async def exec(
        self,
        script: str,
        *,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        async with self._slots, self._calling():
            call = await self._begin(framing.run(script, stdin), on_line=on_line)
            return await self._finish(call)

    async def put(
        self, path: str, source: Path, on_sent: Callable[[int, int], None] | None = None
    ) -> None:
        try:
            digest, size = await asyncio.to_thread(_measure, source)
            script = receive(path, self._owner, digest, size)
            result, had = await self._upload(script, source, size, on_sent)
            if result.status == NOT_THE_SAME and had:
                # What an earlier upload had left was not what it should be, and is gone.
                result, had = await self._upload(script, source, size, on_sent)
        except OSError as error:
            raise StepFailed(
                f"cannot read {source}: {error.strerror or type(error).__name__}",
                host=self._host.name,
            ) from None
        if result.status:
            tail = sanitize_block(result.err.decode(errors="replace")).strip()
            raise StepFailed(
                f"cannot upload {source.name} to {path}",
                status=result.status,
                tail=tail,
                hint=": ".join(of_disk(tail.splitlines()) or ()),
                host=self._host.name,
            )

    @asynccontextmanager
    async def hold(self, script: str) -> AsyncIterator[str]:
        async with self._slots:
            async with self._calling():
                call = await self._begin(framing.attend(script), more=True)
                try:
                    line = await self._first_line(call)
                except asyncio.CancelledError:
                    await self._end(call)
                    raise
            try:
                yield line
            finally:
                await self._let_go(call)

    def forward(self, address: str, port: int) -> AbstractAsyncContextManager[int]:
        return relay(lambda: self._wire.dial(address, port))

    def through(self, script: str) -> AbstractAsyncContextManager[int]:
        return relay(lambda: self._converse(script))

    async def _converse(self, script: str) -> tuple[Reader, Writer]:
        call = await self._begin(framing.attend(script), more=True)
        # Only now may anything be sent: a shell that reads ahead would take it for its script.
        await self._first_line(call)
        del call.out[: call.out.find(b"\n") + 1]
        conversation = Conversation(call, lambda: self._end_soon(call))
        return conversation, conversation

    async def close(self) -> None:
        if self._endings:
            await asyncio.wait(self._endings, timeout=_END_PATIENCE)
        await self._wire.close()

    async def become(self, how: Literal["sudo", "root"], password: Secret | None) -> None:
        """Find out how this login becomes root: one exec, and one more to try a password.

        Raises CredentialsError (no usable shell, not root), SudoDenied.
        """
        found = await self.exec(LOOK)
        names = {"host": self._host.name, "user": self._user}
        privilege = choose(found.out, become=how, password=password, **names)
        if privilege.password:
            nonce = framing.new_nonce()
            process = await self._wire.start(privilege.trial(nonce))
            trial = Call(process, nonce)
            await process.write(_line(privilege.password))
            process.write_eof()  # so that sudo finds no second try
            try:
                await trial.end()
            finally:
                trial.drop()
            if trial.status is None:
                raise self._lost()
            if trial.status or nonce.encode() not in trial.noise:
                raise denied(trial.noise, **names)
        self._privilege = privilege

    async def _begin(
        self, body: str, *, on_line: Callable[[str], None] | None = None, more: bool = False
    ) -> Call:
        """Start a root shell and hand it its script; `more` leaves its input open.

        Raises Lost, Refused or CredentialsError.
        """
        nonce = framing.new_nonce()
        process = await self._start(self._privilege.command(nonce))
        call = Call(process, nonce, on_line)
        try:
            if self._privilege.password:
                await process.write(_line(self._privilege.password))
                async with asyncio.timeout(_SUDO_PATIENCE):
                    await call.ready.wait()
            if await process.write((framing.header(nonce) + body).encode()) and not more:
                process.write_eof()
        except TimeoutError:
            call.drop()
            raise denied(call.noise, host=self._host.name, user=self._user) from None
        except asyncio.CancelledError:
            await self._end(call)
            raise
        return call

    async def _start(self, command: str) -> Process:
        """Open a channel; where sshd allows fewer than we want, wait for one of ours to end."""
        attempt = 0
        while True:
            try:
                return await self._wire.start(command)
            except ChannelRefused as refused:
                if self._passing <= 1 and attempt >= 3:
                    raise Refused(
                        f"the host's sshd opens no further session: {sanitize(str(refused))}",
                        host=self._host.name,
                        hint="set MaxSessions to 10 (its default) in the host's sshd_config",
                    ) from None
            await asyncio.sleep(backoff(attempt))
            attempt += 1

    async def _finish(self, call: Call) -> Result:
        try:
            await call.end()
            if call.flooded:
                await self._end(call)
        except asyncio.CancelledError:
            await self._end(call)
            raise
        finally:
            call.drop()
        if call.flooded:
            raise StepFailed(
                f"the host said more than {framing.OUT_CAP >> 20} MiB where an answer was expected",
                host=self._host.name,
                hint="log in by hand and see what writes to the output of every shell",
            )
        if call.status is None:
            raise self._lost()
        if not call.started:
            raise self._no_shell(call)
        return Result(call.status, bytes(call.out), bytes(call.err))

    async def _first_line(self, call: Call) -> str:
        """The first line of output; '' when the script ended without one."""
        while b"\n" not in call.out and not call.ended and not call.flooded:
            call.progress.clear()
            await call.progress.wait()
        if b"\n" not in call.out:
            await self._finish(call)
        return sanitize(call.out.partition(b"\n")[0].decode(errors="replace"))

    async def _upload(
        self,
        script: str,
        source: Path,
        size: int,
        on_sent: Callable[[int, int], None] | None,
    ) -> tuple[Result, int]:
        """Send what is missing; also says how many bytes were there already."""
        async with self._slots, self._calling():
            call = await self._begin(framing.attend(script), more=True)
            try:
                # Only now: a shell that reads ahead would take the file for its script.
                said = await self._first_line(call)
                had = int(said) if re.fullmatch(r"[0-9]{1,18}", said) else 0
                await self._send_file(call, source, had, size, on_sent)
            except (asyncio.CancelledError, OSError):
                await self._end(call)
                raise
            return await self._finish(call), had

    async def _send_file(
        self,
        call: Call,
        source: Path,
        sent: int,
        size: int,
        on_sent: Callable[[int, int], None] | None,
    ) -> None:
        with source.open("rb") as file:
            file.seek(sent)
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                if call.ended or not await call.process.write(chunk):
                    return  # the script ended early; its status tells why
                sent += len(chunk)
                if on_sent:
                    on_sent(sent, size)
        call.process.write_eof()

    async def _let_go(self, call: Call) -> None:
        """End what `hold` started: most scripts end with their input, the others are told to."""
        call.process.write_eof()
        try:
            async with asyncio.timeout(1):
                await call.end()
        except TimeoutError:
            await self._end(call)
        except asyncio.CancelledError:
            await self._end(call)
            raise
        finally:
            call.drop()

    async def _end(self, call: Call) -> None:
        """Kill the process group of a call.  Goes on in the background when cancelled again."""
        await asyncio.shield(self._end_soon(call))

    def _end_soon(self, call: Call) -> asyncio.Task[None]:
        task = asyncio.create_task(self._kill(call))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def _kill(self, call: Call) -> None:
        # Closing a channel does not end what runs behind it, and only newer sshd pass signals on.
        try:
            async with asyncio.timeout(_END_PATIENCE), self._ending_slots:
                while call.pgid is None and not call.ended:
                    call.process.write_eof()  # a shell without its script ends by itself
                    call.progress.clear()
                    await call.progress.wait()
                if call.pgid is not None and call.pgid > 1 and not call.ended:
                    call.process.terminate()
                    script = framing.END_GROUP.format(pgid=call.pgid)
                    killer = await self._begin(framing.run(script))
                    await killer.end()
                    killer.drop()
        except (TimeoutError, OperatorError):
            call.process.terminate()
        finally:
            call.drop()

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[None]:
        """Counts calls that will end by themselves: worth waiting for when sshd is full."""
        self._passing += 1
        try:
            yield
        finally:
            self._passing -= 1

    def _lost(self) -> Lost:
        return Lost(
            "the connection was lost before the script's status came",
            host=self._host.name,
            hint="run the same command again: it goes on from what the host shows",
        )

    def _no_shell(self, call: Call) -> OperatorError:
        """The login shell, or sudo, ran something else than our shell, or nothing."""
        if self._privilege.kind != "direct":
            return denied(call.noise, host=self._host.name, user=self._user)
        said = sanitize_block(call.noise.decode(errors="replace")).strip().splitlines()
        return CredentialsError(
            f"the login of {self._user} runs no commands: "
            + (said[-1] if said else f"its shell ended with status {call.status}"),
            host=self._host.name,
            hint=f"give {self._user} a login shell (`chsh -s /bin/sh {self._user}`) and no forced "
            "command",
        )


def _line(password: Secret) -> bytes:
    return password.reveal().encode() + b"\n"


def _measure(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
