"""Why a connection could not be made, in the operator's words."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Sequence

from k3s_tui.core.address import parted
from k3s_tui.core.errors import AuthenticationFailed, CredentialsError, Unreachable
from k3s_tui.hosts.sanitize import sanitize


def unreachable(error: BaseException, *, host: str, place: str, seconds: float) -> Unreachable:
    """From what the system or asyncssh said.  `place` is `address:port`."""
    if isinstance(error, TimeoutError) or "timeout" in str(error).lower():
        text = f"{place} did not answer within {seconds:g} s"
        hint = "is the host up, the address right, and the port open in every firewall between?"
    elif isinstance(error, socket.gaierror):
        text = f"the name of {place} cannot be resolved: {error.strerror}"
        hint = "correct the host's address in the profile, or write an IP address"
    elif isinstance(error, ConnectionRefusedError):
        text = f"nothing listens on {place}"
        hint = "is sshd running there (`systemctl status ssh sshd`), and on that port?"
    elif isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        text = f"there is no route to {place}"
        hint = "check the address, the VPN and the routes; behind a jump host, set jump"
    else:
        text = f"no SSH connection to {place}: {sanitize(str(error)) or type(error).__name__}"
        hint = "try `ssh -v` to the same host and port"
    return Unreachable(text, host=host, hint=hint)


def dropped(error: BaseException, *, host: str, place: str, attempts: int) -> Unreachable:
    return Unreachable(
        f"{place} closed the connection before the login, {attempts} times: {sanitize(str(error))}",
        host=host,
        hint="sshd's MaxStartups, a ban (fail2ban) or hosts.deny may be why; see its log "
        "(`journalctl -u ssh -u sshd`)",
    )


def refused(
    *, host: str, user: str, place: str, keys: int, explicit: str | None
) -> AuthenticationFailed:
    """`explicit` is the key file when the profile names one."""
    offered = explicit or (f"{keys} key" if keys == 1 else f"{keys} keys")
    address, port = parted(place)
    return AuthenticationFailed(
        f"{place} refused the login of {user!r} with {offered}",
        host=host,
        hint=f"is {user!r} right?  Install the key with `ssh-copy-id -p {port} {user}@{address}`",
    )


def too_many(*, host: str, user: str, place: str, keys: int) -> AuthenticationFailed:
    return AuthenticationFailed(
        f"{place} refused the login of {user!r} after too many of {keys} keys",
        host=host,
        hint="set identity in [ssh] to the path of the right key: only that one is offered then",
    )


def no_keys(*, host: str) -> CredentialsError:
    return CredentialsError(
        "there is no SSH key to log in with: the agent holds none, and ~/.ssh has none",
        host=host,
        hint="run `ssh-add PATH`, or set identity in [ssh] to a key's path",
    )


def mute(*, host: str, user: str, seconds: float) -> Unreachable:
    return Unreachable(
        f"{user} is logged in, but no shell answered within {seconds:g} s",
        host=host,
        hint="log in by hand and see what hangs there: the login shell, sudo, a full disk",
    )


_DISK = (
    (
        ("No space left on device", "Disk quota exceeded"),
        "there is no space left on the device",
        "free some (`df -h {path}; df -i {path}`), then run again",
    ),
    (
        ("Read-only file system",),
        "its file system is read-only",
        "see why (`findmnt -T {path}; dmesg | tail`) and make it writable, then run again",
    ),
)


def of_disk(said: Sequence[str]) -> tuple[str, str] | None:
    """Text and hint when a script failed for its disk; None when it says nothing of the kind.

    `said` are its last lines of standard error.  What was to be written stands in the last line of
    ours (`cannot place /path`), or where the tool tells why.
    """
    for causes, text, hint in _DISK:
        for line in reversed(said):
            if any(cause in line for cause in causes):
                paths = re.findall(r"(?<![\w/])/[\w.,:@+/-]*\w", f"{line} {said[-1]}")
                path = re.sub(r"/\.k3s-tui\.\w+$", "", paths[-1]) if paths else "/"
                what = path if paths else "a file could not be written"
                return f"{what}: {text}", hint.format(path=path)
    return None
