"""`secret …`: the store beside a profile, from the command line."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from k3s_tui.core.ask import Ask
from k3s_tui.core.errors import CredentialsError, Exit
from k3s_tui.core.events import AnyEvent
from k3s_tui.core.secret import Secret
from k3s_tui.headless.ask import NoTerminal, TerminalAsk
from k3s_tui.profile import keeping
from k3s_tui.profile.load import load
from k3s_tui.profile.neighbours import secrets_file
from k3s_tui.profile.secrets import Resolver


def init(path: Path, passphrase_file: Path | None) -> Exit:
    from k3s_tui.procedure.secrets import make_secrets

    done = asyncio.run(make_secrets(load(path), path, _resolver(path, passphrase_file)))
    for key in done.made:
        print(f"made {key}")
    for key in done.kept:
        print(f"kept {key}")
    for key in done.missing:
        print(f"missing {key}: put it in with k3s-tui secret set {path} {key}", file=sys.stderr)
    if done.made:
        print(
            f"Back up {secrets_file(path)} and remember its passphrase: without them the cluster's "
            "database cannot be read again.",
            file=sys.stderr,
        )
    return Exit.OK


def set_value(path: Path, key: str, passphrase_file: Path | None) -> Exit:
    async def work() -> None:
        ask = asker()
        if sys.stdin.isatty():
            value = await ask.secret(f"Value of {key}", flag="standard input")
        else:
            value = _value_of(sys.stdin.buffer.read(), key)
        resolver = _resolver(path, passphrase_file)
        await keeping.set_secret(load(path), path, resolver, key, value)

    asyncio.run(work())
    print(f"set {key}")
    return Exit.OK


def _value_of(given: bytes, key: str) -> Secret:
    """Standard input as a value: one line, or a PEM as `secret get` prints it."""
    try:
        text = given.decode()
    except UnicodeDecodeError:
        # Not chained: the error holds what was given.
        raise CredentialsError(f"the value of {key} is not UTF-8 text") from None
    text = text.rstrip("\r\n")
    if text.startswith("-----BEGIN "):
        return Secret(text + "\n")
    if "\n" in text:
        raise CredentialsError(
            f"the value of {key} has more than one line",
            hint="give one line on standard input; only a PEM may have more",
        )
    return Secret(text)


def get(path: Path, key: str, passphrase_file: Path | None) -> Exit:
    load(path)
    store = asyncio.run(_resolver(path, passphrase_file).store())
    value = store.get(key).reveal()
    print(value, end="" if value.endswith("\n") else "\n")
    return Exit.OK


def list_keys(path: Path, passphrase_file: Path | None) -> Exit:
    load(path)
    for key in asyncio.run(_resolver(path, passphrase_file).store()):
        print(key)
    return Exit.OK


def change_passphrase(path: Path, old_file: Path | None, new_file: Path | None) -> Exit:
    load(path)
    asyncio.run(keeping.rekey(path, _resolver(path, old_file), new_file))
    print("encrypted with the new passphrase")
    return Exit.OK


def _resolver(path: Path, passphrase_file: Path | None) -> Resolver:
    return Resolver(path, asker(), passphrase_file=passphrase_file)


def asker() -> Ask:
    """Who asks where nothing is recorded."""
    return TerminalAsk(_unheard) if sys.stdin.isatty() else NoTerminal()


def _unheard(_: AnyEvent) -> None:
    """Nothing of these commands is recorded."""
