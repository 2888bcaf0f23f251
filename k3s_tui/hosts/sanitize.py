"""Text from outside is data: made harmless once, at the SSH boundary.

rich and Textual hand ESC, OSC and bidi controls on to the terminal, so a host's output could set
the clipboard, hide a line or reverse one.  Here such characters become visible text.
"""

from __future__ import annotations

import codecs
import re

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0a-\x1f\x7f-\x9f"  # C0 without tab, DEL, C1
    "\xad\u061c\u180e"  # soft hyphen, Arabic and Mongolian format marks
    "\u200b-\u200f\u2028-\u202e"  # zero width, direction marks, line separators, bidi
    "\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible operators, isolates, annotations
    "\ud800-\udfff"  # lone surrogates: they cannot be encoded again
    "\U000e0000-\U000e007f"  # tags
    "]"
)

LINE_CAP = 4096
"""Characters of a line that are kept; the rest is counted."""


def sanitize(text: str) -> str:
    """One line with every control, bidi and invisible character made visible; tab is kept.

    `\\x1b` stands for ESC, `\\u202e` for a right-to-left override.  A newline is not a character
    of a line: it becomes `\\x0a`, so that a value cannot pose as a further line.
    """
    return _UNSAFE.sub(_visible, text)


def sanitize_block(text: str) -> str:
    """Several lines, each sanitized; `\\r\\n` counts as a line's end."""
    return "\n".join(sanitize(line.removesuffix("\r")) for line in text.split("\n"))


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class LineDecoder:
    """Splits a stream of bytes into sanitized lines, however it was cut into chunks.

    Bytes that are not UTF-8 become U+FFFD.  A line longer than `cap` characters is cut with a
    visible mark; memory stays bounded.  What a carriage return overwrites (a progress bar) is
    left out, so that each line shows its last state.
    """

    def __init__(self, cap: int = LINE_CAP) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._cap = cap
        self._kept = ""
        self._dropped = 0
        self._overwrite = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that this chunk completed."""
        return self._split(self._decoder.decode(data))

    def close(self) -> list[str]:
        """The last line, when it did not end with a newline."""
        lines = self._split(self._decoder.decode(b"", final=True))
        if self._kept:
            lines.append(self._end())
        return lines

    def _split(self, text: str) -> list[str]:
        lines = []
        for part in re.split(r"([\r\n])", text):
            if part == "\n":
                lines.append(self._end())
            elif part == "\r":
                self._overwrite = True
            elif part:
                if self._overwrite:
                    self._kept, self._dropped, self._overwrite = "", 0, False
                room = self._cap - len(self._kept)
                self._kept += part[:room]
                self._dropped += len(part[room:])
        return lines

    def _end(self) -> str:
        more = f"… ({self._dropped} more)" if self._dropped else ""
        line = sanitize(self._kept) + more
        self._kept, self._dropped, self._overwrite = "", 0, False
        return line
