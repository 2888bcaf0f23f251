"""A managed block: our lines inside a file that is somebody else's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from k3s_tui.core.contract import Change, Hands, Probe, Problem
from k3s_tui.core.errors import StepFailed
from k3s_tui.hosts.script import SPARE, literal, quote
from k3s_tui.resources.file import unified

_REWRITE = f"""{SPARE}\
rewrite() {{ # path sha256-before sha256-after keep|drop <content: same mode and owner, or nothing
    target=$(readlink -f "$1") && tmp=$(spare "${{target%/*}}") || return 1
    if cp -p "$target" "$tmp" && has "$2" "$tmp"; then :; else
        rm -f "$tmp"
        echo "$1 was changed by somebody else at this moment" >&2
        return 1
    fi
    if [ "$4" = keep ] && [ ! -e "$1.k3s-tui.orig" ]; then
        cp -p "$tmp" "$tmp.orig" && {{ sync "$tmp.orig" 2>/dev/null || sync; }} &&
            mv -f "$tmp.orig" "$1.k3s-tui.orig" || return 1
    fi
    if cat >"$tmp" && has "$3" "$tmp" && {{ sync "$tmp" 2>/dev/null || sync; }} &&
        has "$2" "$target" && {{ mv -f "$tmp" "$target" 2>/dev/null || write_in_place; }}
    then
        ! command -v restorecon >/dev/null 2>&1 || restorecon "$target"
        return 0
    fi
    rm -f "$tmp"
    echo "cannot write $1" >&2
    return 1
}}
has() {{ [ "$(sha256sum <"$2" | cut -d ' ' -f 1)" = "$1" ]; }}
write_in_place() {{ # a file that is a mount point, as in containers, cannot be renamed over
    listed=$(printf %s "$target" | sed 's/\\\\/\\\\134/g; s/ /\\\\040/g')
    grep -qF " $listed " /proc/self/mountinfo && cat "$tmp" >"$target" && sync && rm -f "$tmp"
}}
"""


@dataclass(frozen=True)
class BlockState:
    """The whole file that the block is in; None when there is no such file."""

    content: bytes | None


@dataclass(frozen=True)
class Block:
    """`body` between `# BEGIN marker` and `# END marker`, at the top or the bottom of a file.

    The rest of the file stays as it is, byte for byte, as do its mode and owner.  Duplicates and
    halves of blocks are mended.  An empty body means no block.  The file as it was before the
    first block is kept as `PATH.k3s-tui.orig`.
    """

    path: str
    body: str
    marker: str = "k3s-tui"
    at: Literal["top", "bottom"] = "top"

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"not an absolute path: {self.path!r}")
        if {self._begin, self._end} & {line.rstrip() for line in self.body.encode().split(b"\n")}:
            raise ValueError("the body holds a marker line")

    def probe(self) -> Probe[BlockState]:
        return Probe(self._ask, _parse)

    def diff(self, now: BlockState) -> Change[BlockState] | Problem | None:
        if now.content is None:
            return Problem(f"{self.path} is missing")
        wanted = self.within(now.content)
        if wanted == now.content:
            return None
        verb = "write" if self.body else "remove"
        return Change(
            f"{verb} the {self.marker} block in {self.path}",
            unified(
                self.path,
                now.content.decode(errors="replace"),
                wanted.decode(errors="replace"),
            ),
            BlockState(wanted),
        )

    async def apply(self, on: Hands, change: Change[BlockState]) -> None:
        # Read again: what is written must follow from what is there, not from what was planned.
        before = _parse(await on.sh(self._ask))
        if before.content is None:
            raise StepFailed(f"{self.path} is missing", host=on.host.name)
        after = self.within(before.content)
        keep = "drop" if self._lines_of_ours(before.content) else "keep"
        digests = (hashlib.sha256(text).hexdigest() for text in (before.content, after))
        await on.sh(
            f"{_REWRITE}{literal(after)} | rewrite {quote(self.path)} {' '.join(digests)} {keep}"
        )

    def within(self, content: bytes) -> bytes:
        """The file's content with the block as wanted."""
        rest = self._rest(content)
        if not self.body:
            return rest
        body = self.body.encode().rstrip(b"\n")
        block = b"\n".join((self._begin, body, self._end, b""))
        if self.at == "top":
            return block + rest
        return rest + (b"\n" if rest and not rest.endswith(b"\n") else b"") + block

    @property
    def _ask(self) -> str:
        path = quote(self.path)
        return f"[ ! -f {path} ] || {{ echo; cat {path}; }}"

    @property
    def _begin(self) -> bytes:
        return f"# BEGIN {self.marker}".encode()

    @property
    def _end(self) -> bytes:
        return f"# END {self.marker}".encode()

    def _lines_of_ours(self, content: bytes) -> bool:
        lines = (line.rstrip() for line in content.split(b"\n"))
        return any(line in (self._begin, self._end) for line in lines)

    def _rest(self, content: bytes) -> bytes:
        """What is not ours.

        Between a begin and its end all is ours.  Beside a marker that lost its other half only
        lines are ours that we would write ourselves: nobody else's line may get lost.
        """
        ours = {line.strip() for line in self.body.encode().split(b"\n")} - {b""}
        lines = content.splitlines(keepends=True)
        rest: list[bytes] = []
        at = 0
        while at < len(lines):
            line = lines[at].rstrip()
            at += 1
            if line == self._begin:
                end = at
                while end < len(lines) and lines[end].rstrip() not in (self._begin, self._end):
                    end += 1
                if end < len(lines) and lines[end].rstrip() == self._end:
                    at = end + 1
                    continue
                while at < end and lines[at].strip() in ours:
                    at += 1
            elif line == self._end:
                while rest and rest[-1].strip() in ours:
                    rest.pop()
            else:
                rest.append(lines[at - 1])
        return b"".join(rest)


def _parse(out: bytes) -> BlockState:
    """An empty answer is no file; a present one comes after a line break."""
    return BlockState(out[1:] if out else None)
