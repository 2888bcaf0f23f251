"""`NAME.lock.toml`: what was seen at first use and must stay: host keys and checksums.

    [host-keys]
    postgres = "ssh-ed25519 AAAA…"

    [install]
    version = "v1.36.3+k3s1"
    script-url = "https://get.k3s.io"

    [install.sha256]
    "install.sh" = "…"
    k3s-amd64 = "…"

Safe to commit: it is public, and it is what makes the same profile install the same bytes on the
same hosts for a colleague.
"""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from k3s_tui.core.errors import CredentialsError, Exit, OperatorError, Refused
from k3s_tui.core.files import write_atomically
from k3s_tui.profile.neighbours import exclusive

_HEADER = """\
# Written by k3s-tui: host keys and checksums as they were at first use.  Safe to commit.
# What differs from this file is refused; remove a line only when you know why it changed.

"""
_HOST_KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCRIPT = "install.sh"


class LockFileInvalid(OperatorError):
    """The lock file is not what k3s-tui wrote: a merge conflict, perhaps."""

    exit = Exit.PROFILE


class HostKeyDiffers(CredentialsError):
    """Another key is pinned for the host already."""


class ChecksumDiffers(Refused):
    """What is to be installed is not what was installed before under the same name."""


@dataclass(frozen=True, slots=True)
class LockFile:
    """`host_keys` in OpenSSH format, by host; `sha256` in hex, by artifact, of one install source:
    a K3s version and the URL of the script.
    """

    host_keys: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    script_url: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)

    def checksums(self, version: str, script_url: str) -> dict[str, str]:
        """The sums that bind this version; none were recorded for another.

        A release's own files are the same wherever they come from; the script is that of its URL.
        """
        if self.version != version:
            return {}
        same_script = self.script_url == script_url
        return {n: d for n, d in self.sha256.items() if same_script or n != _SCRIPT}


def load(path: Path) -> LockFile:
    """An empty one when there is no file yet.  Raises LockFileInvalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return LockFile()
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(path, f"it cannot be read ({type(error).__name__})") from None
    try:
        written = msgspec.convert(tomllib.loads(text), _Written)
    except (ValueError, RecursionError) as error:
        raise _invalid(path, str(error) or "nested too deeply") from None
    for host, key in written.host_keys.items():
        if not _is_host_key(key):
            raise _invalid(path, f"the entry of {host!r} is not a public key")
    for artifact, digest in written.install.sha256.items():
        if not _SHA256.fullmatch(digest):
            raise _invalid(path, f"the entry of {artifact!r} is not a SHA-256 sum")
    install = written.install
    return LockFile(written.host_keys, install.version, install.script_url, install.sha256)


def pin_host_keys(path: Path, keys: Mapping[str, str]) -> LockFile:
    """Add host keys (`type base64`, a comment is dropped) and return the file's new content.

    Raises HostKeyDiffers, and writes nothing, when another key is pinned for one of the hosts.
    """
    with exclusive(path):
        now = load(path)
        pinned = dict(now.host_keys)
        for host, key in keys.items():
            bare = " ".join(key.split()[:2])
            if not _is_host_key(bare):
                raise ValueError(f"not a public key in OpenSSH format: {key!r}")
            if pinned.setdefault(host, bare) != bare:
                raise HostKeyDiffers(
                    f"another key is pinned in {path}",
                    host=host,
                    hint=f"if the host was installed anew, remove its line from {path.name}",
                )
        return _save(path, now, LockFile(pinned, now.version, now.script_url, now.sha256))


def record_checksums(
    path: Path, version: str, script_url: str, sha256: Mapping[str, str]
) -> LockFile:
    """Add checksums of one install source and return the file's new content.

    Those of another version, or of another URL's script, are replaced: the operator changed the
    profile.
    Raises ChecksumDiffers, and writes nothing, when one differs from what is recorded.
    """
    with exclusive(path):
        now = load(path)
        recorded = now.checksums(version, script_url)
        for artifact, digest in sha256.items():
            if not _SHA256.fullmatch(digest):
                raise ValueError(f"not a SHA-256 sum: {digest!r}")
            if recorded.setdefault(artifact, digest) != digest:
                raise ChecksumDiffers(
                    f"{artifact} of {version} is not the one recorded in {path}: "
                    f"sha256 {digest} instead of {recorded[artifact]}",
                    hint=f"find out why it changed; then remove its line from {path.name}",
                )
        return _save(path, now, LockFile(now.host_keys, version, script_url, recorded))


def _is_host_key(text: str) -> bool:
    if not _HOST_KEY.fullmatch(text):
        return False
    try:
        return bool(base64.b64decode(text.split()[1], validate=True))
    except ValueError:
        return False


class _Install(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    version: str = ""
    script_url: str = ""
    sha256: dict[str, str] = msgspec.field(default_factory=dict)


class _Written(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    host_keys: dict[str, str] = msgspec.field(default_factory=dict)
    install: _Install = msgspec.field(default_factory=_Install)


def _save(path: Path, before: LockFile, after: LockFile) -> LockFile:
    if after != before:
        import tomli_w

        document: dict[str, Any] = {}
        if after.host_keys:
            document["host-keys"] = dict(sorted(after.host_keys.items()))
        if after.sha256:
            document["install"] = {
                "version": after.version,
                "script-url": after.script_url,
                "sha256": dict(sorted(after.sha256.items())),
            }
        write_atomically(path, (_HEADER + tomli_w.dumps(document)).encode(), 0o644)
    return after


def _invalid(path: Path, reason: str) -> LockFileInvalid:
    return LockFileInvalid(
        f"{path} is not a lock file of k3s-tui: {reason}",
        hint="mend it, or restore it from version control; k3s-tui never writes it like this",
    )
