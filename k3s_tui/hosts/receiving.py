"""The host's side of an upload: what arrived stays, so that only the rest is sent again."""

from __future__ import annotations

import posixpath

from k3s_tui.hosts.script import quote

CUT_OFF, NOT_THE_SAME = 75, 65
"""What the script ends with when its input ended too early, or was not what it should be."""


def receive(path: str, owner: str, sha256: str, size: int) -> str:
    """A script that prints how many bytes it has, and reads the rest of them.

    They gather in a file whose name says their content; it becomes `path` (0600) only as a whole.
    """
    part = posixpath.join(posixpath.dirname(path), f".k3s-tui.{sha256[:32]}.part")
    return f"""\
path={quote(path)} part={quote(part)}
arrived() {{ echo $(($(wc -c <"$part"))); }}
if [ -h "$part" ] || ! [ -f "$part" ] || [ "$(arrived)" -gt {size} ]; then
    rm -f "$part" && : >"$part" || exit
fi
arrived
cat >>"$part" || exit
if [ "$(arrived)" -lt {size} ]; then
    echo "only $(arrived) of {size} bytes came" >&2
    exit {CUT_OFF}
fi
if [ "$(sha256sum <"$part" | cut -d ' ' -f 1)" != {sha256} ]; then
    rm -f "$part"
    echo "what came is not what was sent" >&2
    exit {NOT_THE_SAME}
fi
chmod 0600 "$part" && chown {quote(owner)} "$part" &&
    {{ sync "$part" 2>/dev/null || sync; }} && mv -f "$part" "$path"
"""
