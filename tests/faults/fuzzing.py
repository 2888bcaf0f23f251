"""Bad input for everything that reads files which somebody else may have written.

``python -m tests.faults.fuzzing [SECONDS [LEAST]]`` (``make fuzz``) mutates good samples until time
is up and there were at least so many, prints how many inputs each reader has met, and fails at the
first that is not answered in words.
An input is a number: the same seed makes the same bytes.
"""

from __future__ import annotations

import base64
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.errors import OperatorError

Read = Callable[[bytes], None]
"""Reads the input as the product does.  It may raise OperatorError, and nothing else."""

ODD = [
    *(b"\x00", b"\x1b[2J", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\t", b"'", b'"'),
    *(
        b"'''",
        b'"""',
        b"\\",
        b"%",
        b"%s",
        b"$(id)",
        b"`id`",
        b"${x}",
        b"../",
        b"; drop table x; --",
    ),
    *(
        b"[",
        b"]",
        b"[[",
        b"{",
        b"}",
        b"=",
        b"#",
        b",",
        b".",
        b"*",
        b"?",
        b"!",
        b"|",
        b"[/]",
        b"[b]",
    ),
    *(b"-1", b"0", b"1e999", b"nan", b"inf", b"9" * 400, b"0x" + b"f" * 5000, b"true", b"null"),
    *(b"1979-05-27", b"1e308", b"-0.0", b"1_000", b"\\u0000", b"\\ud800", b"\\u001b"),
    *("é日本\u202e\u200b\U0001f600".encode(), b"\xc3\x28", b"\xed\xa0\x80", b"a" * 5000),
    *(b"[" * 3000, b"{" * 3000, b'{"a":' * 3000, b"a." * 300, b"(" * 300, b"A" * 70_000),
]


_ARMOR = re.compile(
    rb"-----BEGIN [^-]+-----\n(?P<body>[A-Za-z0-9+/=\n]+)-----END"
    rb"|(?<= )(?P<blob>AAAA[A-Za-z0-9+/]{40,}=*)"
)


@dataclass(frozen=True)
class Target:
    """One reader; `samples` are good files, `words` what is good at many places of them.

    With `armored` most inputs are spoiled inside of their armor (the DER of a PEM, the blob of a
    public key), since outside of it nearly all of them end at the same first check.
    """

    name: str
    samples: Sequence[bytes]
    read: Read
    words: Sequence[bytes] = ()
    armored: bool = False


@dataclass(frozen=True)
class Found:
    """An input whose reader did not keep its promise."""

    target: str
    number: int
    data: bytes
    error: Exception

    def __str__(self) -> str:
        shown = self.data if len(self.data) < 3000 else self.data[:3000] + b"..."
        return f"{self.target}, input {self.number}: {self.error!r} for {shown!r}"


def mutated(number: int, target: Target) -> bytes:
    """The `number`-th bad input of a target: a sample with one to six changes."""
    chance = random.Random(f"{target.name}/{number}")
    sample = chance.choice(target.samples)
    inside = list(_ARMOR.finditer(sample)) if target.armored and chance.random() < 0.8 else []
    data = bytearray(sample)
    block = chance.choice(inside) if inside else None
    if block:
        data[:] = base64.b64decode(block["blob"] or block["body"])
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 6))):
        _change(chance, data, target)
    if block is None:
        return bytes(data)
    kind = "blob" if block["blob"] else "body"
    again = base64.b64encode(data) if kind == "blob" else base64.encodebytes(data)
    return sample[: block.start(kind)] + again + sample[block.end(kind) :]


def _change(chance: random.Random, data: bytearray, target: Target) -> None:
    at = chance.randint(0, len(data))
    length = chance.choice((0, 0, 1, 1, 2, 4, 16, 64))
    kind = chance.randrange(9)
    if kind == 0 and data:  # a bit
        data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
    elif kind == 1:  # a byte
        data[at : at + 1] = bytes([chance.randrange(256)])
    elif kind == 2:  # something odd
        data[at : at + length] = chance.choice(ODD)
    elif kind == 3 and target.words:  # something good, elsewhere
        data[at : at + length] = chance.choice(target.words)
    elif kind == 4:  # torn
        del data[at:]
    elif kind == 5:  # a hole
        del data[at : at + max(1, length)]
    elif kind == 6:  # twice
        data[at:at] = data[at : at + 4 * length]
    elif kind == 7:  # another one's end
        other = chance.choice(target.samples)
        data[at:] = other[chance.randint(0, len(other)) :]
    else:  # whole lines change places
        lines = data.split(b"\n")
        one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
        lines[one], lines[two] = lines[two], lines[one]
        data[:] = b"\n".join(lines)


def words(sample: bytes) -> list[bytes]:
    """All that a text is made of."""
    return sorted(set(re.findall(rb"[\w.-]+|[^\w\s]|\s+", sample)))


def attempt(target: Target, number: int) -> Found | None:
    """Give the target one input; what went wrong, or None."""
    data = mutated(number, target)
    try:
        target.read(data)
    except OperatorError as error:
        if not str(error):
            return Found(target.name, number, data, error)
    except Exception as error:  # whatever it is: it would be a traceback
        return Found(target.name, number, data, error)
    return None


def main(seconds: float, least: int = 0) -> int:
    """Fuzz all targets in turn, for as long as that and until `least` inputs were; the status."""
    from tests.faults.readers import readers

    began, counts, at = time.monotonic(), {}, 0
    with tempfile.TemporaryDirectory() as folder:
        targets = readers(Path(folder))
        counts = {target.name: 0 for target in targets}
        while time.monotonic() - began < seconds or sum(counts.values()) < least:
            # Each gets as much time as the others, so that the slow ones are not all there is.
            for target in targets:
                until = time.monotonic() + 0.2
                first = counts[target.name]
                while time.monotonic() < until:
                    if found := attempt(target, counts[target.name]):
                        print(found, file=sys.stderr)
                        return 1
                    counts[target.name] += 1
                assert counts[target.name] > first
            at += 1
    for name, count in counts.items():
        print(f"{count:>9,}  {name}")
    assert sum(counts.values()) >= least
    print(f"{sum(counts.values()):>9,}  inputs, and each was answered in words")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3] or ("300",))))
