"""Which keys a login offers: few enough for MaxAuthTries, each loaded and asked for once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from k3s_tui.core.ask import Ask, Question
from k3s_tui.core.errors import CredentialsError
from k3s_tui.hosts import reasons
from k3s_tui.hosts.keyfiles import DEFAULT_NAMES, KeyFile, existing, read_key_file
from k3s_tui.hosts.route import Route
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.target import AGENT

K = TypeVar("K")
"""A private key in memory."""
P = TypeVar("P")
"""A key that an agent signs with."""

Offer: TypeAlias = list[P | K | tuple[K, str]]
"""Keys in the order to try them; a file's key comes with the path of its certificate, if any."""


class Identities(Generic[K, P]):
    """The operator's keys.

    `decode` makes a key of a file's bytes and a passphrase and raises ValueError when it cannot;
    `certify` raises OSError or ValueError when a file is no certificate of a key; `held` gives an
    agent's keys by their public blob.
    """

    def __init__(
        self,
        folder: Path,
        ask: Ask | None,
        decode: Callable[[bytes, str | None], K],
        certify: Callable[[K, Path], None],
        held: Callable[[str], Awaitable[Mapping[bytes, P]]],
    ) -> None:
        self._folder = folder
        self._ask = ask
        self._decode = decode
        self._certify = certify
        self._held = held
        self._loaded: dict[Path, asyncio.Task[K]] = {}

    async def offer(self, route: Route) -> Offer[P, K]:
        """Raises CredentialsError when there is no key, or none that can be used.

        An explicit key file is the only key offered.  Otherwise the agent's keys, then the files
        of ~/.ssh/config or the usual ones; those with a passphrase only when nothing else is
        there, since asking for what the agent makes unnecessary would be a nuisance.
        """
        held = dict(await self._held(route.agent)) if route.agent else {}
        if route.target.identity != AGENT:
            file = await asyncio.to_thread(read_key_file, Path(route.target.identity))
            if file.public is not None and file.public in held:
                return [held[file.public]]
            return [await self._key(file)]
        names = route.identities or DEFAULT_NAMES
        files = await asyncio.to_thread(existing, names, self._folder)
        if route.identities_only:
            wanted = {file.public for file in files}
            held = {blob: pair for blob, pair in held.items() if blob in wanted}
        usable = [file for file in files if file.private and file.public not in held]
        offer: Offer[P, K] = [*held.values()]
        offer += [await self._key(file) for file in usable if not file.encrypted]
        if not offer and usable:
            offer = [await self._key(usable[0])]
        if not offer:
            raise reasons.no_keys(host=route.target.name)
        return offer

    def close(self) -> None:
        for task in self._loaded.values():
            task.cancel()

    async def _key(self, file: KeyFile) -> K | tuple[K, str]:
        if file.path not in self._loaded:
            self._loaded[file.path] = asyncio.create_task(self._load(file))
        # Shielded: the other hosts wait for the same answer.
        key = await asyncio.shield(self._loaded[file.path])
        return (key, str(file.certificate)) if file.certificate else key

    async def _load(self, file: KeyFile) -> K:
        if not file.private:
            raise CredentialsError(
                f"{file.path} is a public key, and the agent does not hold its private half",
                hint="run `ssh-add` for the private key, or name its file",
            )
        passphrase = await self._passphrase(file) if file.encrypted else None
        try:
            data = await asyncio.to_thread(file.path.read_bytes)
            key = await asyncio.to_thread(self._decode, data, passphrase)
        except (OSError, ValueError) as error:
            raise CredentialsError(
                f"cannot use the SSH key {file.path}: {sanitize(str(error))}",
                hint="was the passphrase right?" if file.encrypted else "",
            ) from None
        if certificate := file.certificate:
            try:
                await asyncio.to_thread(self._certify, key, certificate)
            except (OSError, ValueError) as error:
                raise CredentialsError(
                    f"cannot use the SSH certificate {certificate}: {sanitize(str(error))}",
                    hint=f"have it issued anew for {file.path}, or move it away",
                ) from None
        return key

    async def _passphrase(self, file: KeyFile) -> str:
        if self._ask is None:
            raise CredentialsError(
                f"the SSH key {file.path} needs a passphrase",
                hint=f"run `ssh-add {file.path}` first",
            )
        question = Question("Passphrase of the SSH key {path}", path=str(file.path))
        answer = await self._ask.secret(question, flag=f"`ssh-add {file.path}` first")
        return answer.reveal()
