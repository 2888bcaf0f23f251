"""Errors for the operator: what failed, where, what the host said and what to try.

Each carries the exit code of design.md §6, so that the command line never guesses it.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the process says to its caller."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PROFILE = 3
    CREDENTIALS = 4
    REFUSED = 5
    VERIFICATION = 6
    LOCKED = 7
    CHANGES = 10
    BUG = 70
    INTERRUPTED = 130


class OperatorError(Exception):
    """Base of everything that is expected to go wrong.  Anything else is a bug."""

    exit: Exit = Exit.FAILED

    def __init__(self, text: str, *, hint: str = "", host: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.host = host

    def __str__(self) -> str:
        return f"{self.host}: {self.text}" if self.host else self.text


class UsageError(OperatorError):
    exit = Exit.USAGE


class CredentialsError(OperatorError):
    """A credential, a secret or a host key is missing or was refused."""

    exit = Exit.CREDENTIALS


class SecretMissing(CredentialsError):
    """A secret reference leads nowhere."""


class AuthenticationFailed(CredentialsError):
    """The host refused every key that was offered."""


class SudoDenied(CredentialsError):
    """sudo is missing, needs a password that was not given, or refused the one given."""


class HostKeyUnknown(CredentialsError):
    """The host's key is not pinned yet.  `key` is its public part in OpenSSH format."""

    def __init__(self, text: str, *, key: str, fingerprint: str, host: str, hint: str = "") -> None:
        super().__init__(text, host=host, hint=hint)
        self.key = key
        self.fingerprint = fingerprint


class HostKeyChanged(CredentialsError):
    """The host shows another key than the pinned one: that host stops, always."""


class Refused(OperatorError):
    """Stopped before anything was touched."""

    exit = Exit.REFUSED


class Unreachable(Refused):
    """No SSH connection could be made."""


class Locked(OperatorError):
    """Another run holds the profile's or a host's lock."""

    exit = Exit.LOCKED


class Lost(OperatorError):
    """The connection went away before the remote side reported a status."""


class StepFailed(OperatorError):
    """A script ended with a status other than 0; `tail` is what it said last."""

    def __init__(
        self, text: str, *, status: int = 1, tail: str = "", hint: str = "", host: str = ""
    ) -> None:
        super().__init__(text, hint=hint, host=host)
        self.status = status
        self.tail = tail


class TimedOut(OperatorError):
    """A deadline passed; the text names the condition and the last value seen."""


class Interrupted(OperatorError):
    exit = Exit.INTERRUPTED
