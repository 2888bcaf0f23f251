"""Becoming root: what is found out once per connection, and the command that starts each shell.

The password goes to sudo's standard input and nowhere else.  It is tried exactly once: a second
wrong try counts towards locking the account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from k3s_tui.core.errors import CredentialsError, SudoDenied
from k3s_tui.core.secret import Secret
from k3s_tui.hosts.sanitize import sanitize, sanitize_block

SHELL = "exec /bin/sh -s"
"""Understood alike by sh, bash, fish and tcsh: the login shell sees no quoting and no script."""

LOOK = """\
printf 'uid %s\\n' "$(id -u)"
[ "$(id -u)" = 0 ] && exit
sudo=$(command -v sudo) || exit
printf 'sudo %s\\n' "$sudo"
said=$("$sudo" -k -n -- /bin/sh -c : 2>&1)
printf 'status %s\\n%s\\n' "$?" "$said"
"""
"""Finds out how this login becomes root.  `-k`: a ticket of today must not pass for NOPASSWD."""


@dataclass(frozen=True, slots=True)
class Privilege:
    """How a shell becomes root: directly, through sudo, or through sudo with a password."""

    kind: Literal["direct", "sudo", "password"] = "direct"
    sudo: str = "/usr/bin/sudo"
    password: Secret | None = None

    def command(self, nonce: str) -> str:
        """The SSH command that starts a root shell which reads a script from standard input.

        With a password the shell says `nonce ready` before it reads, so that the script cannot
        fall into sudo's hands.
        """
        if self.kind == "direct":
            return SHELL
        if self.kind == "sudo":
            return f"exec {self.sudo} -k -n -- /bin/sh -s"
        return f"{self._asking} /bin/sh -c 'printf \"\\n%s ready\\n\" {nonce}; exec /bin/sh -s'"

    def trial(self, nonce: str) -> str:
        """The SSH command that only proves the password; its input ends after that one line."""
        return f"{self._asking} /bin/sh -c 'printf \"%s\\n\" {nonce}'"

    @property
    def _asking(self) -> str:
        return f"exec env LC_ALL=C {self.sudo} -k -S -p '' --"


def choose(
    found: bytes, *, become: Literal["sudo", "root"], password: Secret | None, host: str, user: str
) -> Privilege:
    """The way to root, from what `LOOK` printed.  Raises CredentialsError or SudoDenied."""
    lines = found.decode(errors="replace").splitlines()
    facts = dict(line.split(" ", 1) for line in lines[:3] if " " in line)
    if facts.get("uid") == "0":
        return Privilege()
    if become == "root":
        raise CredentialsError(
            f'the login {user!r} is not root, and become = "root" asks for that',
            host=host,
            hint='log in as root, or set become = "sudo"',
        )
    sudo = facts.get("sudo", "")
    if not re.fullmatch(r"/[A-Za-z0-9._/+-]+", sudo):
        raise SudoDenied(
            "sudo is not installed",
            host=host,
            hint=f"install sudo and allow it to {user}, or log in as root",
        )
    if facts.get("status") == "0":
        return Privilege("sudo", sudo)
    said = sanitize(" ".join(lines[3:]))
    _raise_for(said, host, user)
    if not password:
        raise SudoDenied(
            f"sudo needs a password for {user}, and none is given",
            host=host,
            hint='set sudo-password = "prompt:" in [ssh], or allow NOPASSWD',
        )
    return Privilege("password", sudo, password)


def denied(stderr: bytes, *, host: str, user: str) -> SudoDenied:
    """The error for a password that sudo did not take, from what it said."""
    said = sanitize_block(stderr.decode(errors="replace")).strip()
    try:
        _raise_for(said, host, user)
    except SudoDenied as error:
        return error
    if "incorrect password" in said or "try again" in said or "no password was provided" in said:
        return SudoDenied(
            f"sudo refused the password of {user} (tried once)",
            host=host,
            hint=f"check it with `sudo -k true` as {user} on the host",
        )
    last = said.splitlines()[-1] if said else "it said nothing"
    return SudoDenied(f"sudo did not work: {last}", host=host, hint=f"try `sudo true` as {user}")


def _raise_for(said: str, host: str, user: str) -> None:
    """Raise for refusals that no password changes."""
    if "must have a tty" in said:
        raise SudoDenied(
            "sudo wants a terminal (requiretty)",
            host=host,
            hint=f"add `Defaults:{user} !requiretty` to sudoers",
        )
    if "not in the sudoers" in said or "not allowed" in said or "may not run" in said:
        raise SudoDenied(
            f"sudo does not allow {user} to run commands as root",
            host=host,
            hint=f"add a line for {user} to sudoers, or log in as another user",
        )
