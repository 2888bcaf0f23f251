"""`pki …`: certificates that somebody else's CA signs."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from k3s_tui.core.errors import CredentialsError, Exit, OperatorError, UsageError
from k3s_tui.core.events import RunDone
from k3s_tui.core.secret import Secret
from k3s_tui.headless import commands
from k3s_tui.headless.secrets import asker
from k3s_tui.headless.session import Options, Session
from k3s_tui.procedure import own_pki
from k3s_tui.procedure.verbs import Course, Hints
from k3s_tui.profile.load import load
from k3s_tui.profile.model import Profile
from k3s_tui.profile.secrets import read_secret_file

KEY_PASSPHRASE_FLAG = "--key-passphrase-file"
_SIGNS = {"ok": "ok", "warning": "warn", "failed": "FAIL"}


def csr(options: Options, folder: Path) -> Exit:
    """Make a key on each host that needs a certificate, and collect the signing requests."""
    _signed_elsewhere(load(options.profile), options.profile)

    async def work(current: Session, course: Course) -> RunDone:
        async with current.deployment(locked=True) as deployment:
            requests = await deployment.requests()
        _write(folder, requests)
        return RunDone(exit=Exit.OK)

    ended = commands.run("pki csr", options, work, Hints(), keep=False)
    if ended == Exit.OK:
        print(
            f"Have them signed as NAME.crt in the same folder, then: k3s-tui pki import"
            f" {options.profile} {folder}",
            file=sys.stderr,
        )
    return ended


def take(path: Path, folder: Path, passphrase_file: Path | None = None) -> Exit:
    """Check what came back, say every check, and take all of it or nothing.

    Keys that came encrypted are kept without their passphrase: nobody is there to type it when
    PostgreSQL or K3s starts.
    """
    profile = load(path)
    _signed_elsewhere(profile, path)
    authority = own_pki.read_authority(profile, path)
    leaves = own_pki.read_leaves(profile, folder, _passphrases(profile, folder, passphrase_file))
    if not leaves:
        names = ", ".join(f"{name}.crt" for name in own_pki.expected(profile))
        raise CredentialsError(f"{folder} holds no certificate", hint=f"it should hold {names}")
    leaves = own_pki.with_kept_keys(path, leaves)
    now = datetime.now(UTC)
    found = {"pki.ca": own_pki.judged_authority(authority, now)}
    requested = own_pki.read_requests(profile, folder)
    found |= own_pki.judged(profile, authority.ca_pem, leaves, now, requested)
    fatal = 0
    for name, checks in found.items():
        print(name)
        for check in checks:
            fatal += check.result == "failed"
            fix = f" ({check.fix})" if check.fix else ""
            print(f"  {_SIGNS[check.result]:4}  {check.code:16}  {_plain(check.text)}{_plain(fix)}")
    if fatal:
        raise CredentialsError(
            f"{fatal} checks failed; nothing was taken",
            hint="docs/how-to/own-pki.md explains each check",
        )
    for name in own_pki.take(path, leaves):
        print(
            f"{name}: the key that was imported before is not this certificate's and was removed:"
            f" the host must have the right one, from k3s-tui pki csr, or {name}.key comes with it",
            file=sys.stderr,
        )
    for name in own_pki.expected(profile):
        if name not in leaves:
            print(f"missing {name}.crt: import again when it has come", file=sys.stderr)
    return Exit.OK


def _passphrases(profile: Profile, folder: Path, file: Path | None) -> dict[str, Secret]:
    """By the name of the key: from the file, which is for all of them, or asked for each."""
    wanted = own_pki.encrypted_keys(profile, folder)
    if wanted and file is not None:
        return dict.fromkeys(wanted, read_secret_file(file, KEY_PASSPHRASE_FLAG))

    async def asked() -> dict[str, Secret]:
        ask = asker()
        return {
            name: await ask.secret(f"Passphrase of {key}", flag=KEY_PASSPHRASE_FLAG)
            for name, key in wanted.items()
        }

    return asyncio.run(asked())


def _signed_elsewhere(profile: Profile, path: Path) -> None:
    if not profile.has_certificates or profile.signs:
        raise UsageError(
            "this profile's certificates are not signed elsewhere",
            hint=f'that is pki.mode = "bring-your-own" without ca-key in {path}',
        )


def _plain(text: str) -> str:
    """A certificate may say anything."""
    from k3s_tui.hosts.sanitize import sanitize

    return sanitize(text)


def _write(folder: Path, requests: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, request in requests.items():
            path = folder / f"{name}.csr"
            path.write_text(request)
            print(os.fspath(path))
    except OSError as error:
        raise OperatorError(f"cannot write to {folder}: {error.strerror}") from None
