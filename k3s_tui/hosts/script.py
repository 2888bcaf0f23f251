"""POSIX sh is built here, never formatted elsewhere: one quoting function, one way to place a file.

Scripts are meant for dash, busybox ash and bash alike; they arrive on the standard input of
`exec /bin/sh -s`, so nothing in them ever shows in a process list as long as they keep secrets
to shell builtins.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Sequence

PRELUDE = """\
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask 077
cd /
"""
"""Starts every script: sudo, su and login shells disagree about all four."""

SPARE = """\
spare() { # folder: a new file in it, 0600; what killed runs left there may hold secrets, and goes
    rm -f "$1"/.k3s-tui.?????? "$1"/.k3s-tui.??????.orig
    mktemp "$1/.k3s-tui.XXXXXX"
}
"""
"""The shell function that every script with a temporary file beside its target begins with.

One change is made on a host at a time, so whatever lies there is nobody's any more.
"""

PLACE = f"""{SPARE}\
place() {{ # path mode owner sha256 <content: in full and durable, or not at all
    place_tmp=$(spare "${{1%/*}}") || return 1
    if cat >"$place_tmp" && chmod "$2" "$place_tmp" && chown "$3" "$place_tmp" &&
        printf '%s  %s\\n' "$4" "$place_tmp" | sha256sum -c - >/dev/null 2>&1 &&
        {{ sync "$place_tmp" 2>/dev/null || sync; }} && mv -f "$place_tmp" "$1"
    then return 0; fi
    rm -f "$place_tmp"
    echo "cannot place $1" >&2
    return 1
}}
"""
"""The shell function that `place()` calls; a script that places files begins with it."""


COPY = """\
copy() { # from to: content, mode and owner, in full and durable, or not at all
    copy_tmp=$(spare "${2%/*}") || return 1
    if cp -p "$1" "$copy_tmp" && { sync "$copy_tmp" 2>/dev/null || sync; } &&
        mv -f "$copy_tmp" "$2"
    then return 0; fi
    rm -f "$copy_tmp"
    echo "cannot copy $1 to $2" >&2
    return 1
}
"""
"""The shell function that keeps what was there before; it needs `SPARE`."""

UPTIME = """\
uptime() { # in whole seconds: a deadline by the clock would move when the clock is set
    read -r up up_idle </proc/uptime && printf '%s\\n' "${up%%.*}"
}
"""
"""The shell function for deadlines on a host."""


def quote(word: str) -> str:
    """One shell word.  Raises ValueError for NUL, which no shell can carry."""
    if "\0" in word:
        raise ValueError("a shell word cannot hold NUL")
    return shlex.quote(word)


def literal(content: bytes) -> str:
    """A command that prints `content` exactly.  `printf` is a builtin: no argv holds it."""
    return f"printf %s {base64.b64encode(content).decode()} | base64 -d"


def place(path: str, content: bytes, *, mode: str = "0644", owner: str = "root:root") -> str:
    """A command that puts `content` at `path` atomically.  The folder must exist.

    `mode` is octal text, `owner` is `user:group`.  Needs `PLACE` earlier in the script.
    """
    digest = hashlib.sha256(content).hexdigest()
    return f"{literal(content)} | place {quote(path)} {mode} {quote(owner)} {digest}"


def batch(asks: Sequence[str], nonce: str) -> str:
    """All of a host's probes as one script, framed by `nonce`.

    Each runs in a subshell with no input, by `eval`: neither a syntax error nor a reader of
    standard input takes the others along.  What they say on standard error is nobody's.
    """
    framed = (
        f"(eval {quote(ask)}) </dev/null 2>/dev/null; printf '\\n{nonce} %s\\n' \"$?\"\n"
        for ask in asks
    )
    return "".join(framed)


def unbatch(out: bytes, nonce: str) -> list[bytes]:
    """The outputs of a `batch`, in its order.  Shorter than the batch when the script was cut."""
    return re.split(rb"\n" + nonce.encode() + rb" \d+\n", out)[:-1]
