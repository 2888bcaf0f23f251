"""New secrets, and the shapes that a cluster's token must not have."""

from __future__ import annotations

import re
import secrets
import string

from k3s_tui.core.errors import CredentialsError
from k3s_tui.core.secret import Secret

_ALPHABET = string.ascii_letters + string.digits + "_-"
_LENGTH = 32
"""64 characters to choose from: 192 bits."""

_BOOTSTRAP = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_SECURE_FORM = "K10"
_UNUSABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


def generate() -> Secret:
    """A new secret of `[A-Za-z0-9_-]`, fit for a password, a token and a command line."""
    while True:
        value = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        if value[0] not in "-_" and not value.startswith(_SECURE_FORM):
            return Secret(value)


def check_token(token: Secret, what: str) -> None:
    """Raise CredentialsError for a token that K3s would take for something else.

    `what` is its place in the profile, such as `k3s.token`.
    """
    value = token.reveal()
    if _BOOTSTRAP.fullmatch(value):
        reason = "it has the shape of a bootstrap token (6 characters, a dot, 16 characters)"
    elif value.startswith(_SECURE_FORM):
        reason = "it starts with K10, which is the secure form that K3s itself derives"
    elif not value or _UNUSABLE.search(value):
        reason = "it is empty or holds white space"
    else:
        return
    raise CredentialsError(
        f"the value of {what} cannot be a cluster's token: {reason}",
        hint="for a new cluster let k3s-tui secret init PROFILE make one; for an existing one use "
        "the short form, which is what follows the last colon",
    )
