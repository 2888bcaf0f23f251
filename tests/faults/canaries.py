"""Secrets that can be recognized wherever they turn up, in whatever way they were written.

A canary is a long random word inside a value.  It is looked for by pieces of twelve bytes, so that
quoting around it and the line breaks of base64 cannot hide it: each piece raw, in base64 at its
three alignments (plain and URL-safe), and in hex.  Quoting in sh, SQL, YAML, JSON and URLs leaves
letters and digits as they are.
"""

from __future__ import annotations

import base64
import io
import re
import secrets
import string
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PIECE = 12
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Canary:
    """One secret: its name, and the pieces by which it is recognized."""

    name: str
    pieces: tuple[bytes, ...]

    @classmethod
    def of(cls, name: str, core: bytes) -> Canary:
        """Recognized by the whole pieces of `core`, at least one."""
        whole = range(0, len(core) - _PIECE + 1, _PIECE)
        pieces = tuple(core[at : at + _PIECE] for at in whole)
        if not pieces:
            raise ValueError(f"{name}: a canary of {len(core)} bytes is too short")
        return cls(name, pieces)

    @classmethod
    def of_pem(cls, name: str, pem: str) -> Canary:
        """A private key: by its number, and by what its text says of nothing but that.

        The rest of the text is the public key's, which stands in certificates; in some of them, by
        the length of their serial number, in the very same letters.
        """
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = serialization.load_pem_private_key(pem.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        number = key.private_numbers().private_value.to_bytes(32, "big")
        lines = pem.encode().splitlines()[1:-1]
        at = base64.b64decode(b"".join(lines)).index(number)
        start, end = -(-at * 4 // 3), (at + len(number)) * 4 // 3
        pieces = [*cls.of(name, number).pieces]
        for line in lines:
            part = line[max(0, start) : max(0, end)]
            if len(part) >= _PIECE:
                pieces += cls.of(name, part).pieces
            start, end = start - len(line), end - len(line)
        return cls(name, tuple(pieces))

    def forms(self) -> Iterator[bytes]:
        """Everything that is looked for; none holds a line break or a NUL."""
        for piece in self.pieces:
            for form in {*_forms(piece)}:
                if not {0, 10, 13} & set(form):
                    yield form


def _forms(piece: bytes) -> Iterator[bytes]:
    yield piece
    yield piece.hex().encode()
    yield piece.hex().upper().encode()
    for lead in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * lead + piece).rstrip(b"=")
            # Leave out the characters that depend on neighbouring bytes.
            start = (lead * 8 + 5) // 6
            yield encoded[start : len(encoded) - (1 if (lead + len(piece)) % 3 else 0)]


def word(length: int = 3 * _PIECE) -> str:
    """A new random word of letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class Nest:
    """All canaries of a test, and the ways to look for them."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._whose = {form: canary.name for canary in canaries for form in canary.forms()}
        ordered = sorted(self._whose, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, ordered)))

    def within(self, content: bytes | str) -> set[str]:
        """Names of the canaries in a text or in any bytes."""
        raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content
        return {self._whose[found[0]] for found in self._pattern.finditer(raw)}

    def below(self, *tops: Path, but: Iterable[Path] = ()) -> dict[Path, set[str]]:
        """Files under the folders `tops` (or at them), and the canaries that each holds.

        Symbolic links are not followed, pipes and devices not read.  An archive of tar and gzip is
        looked into.
        """
        there = [str(top) for top in tops if top.exists()]
        if not there:
            return {}
        with tempfile.NamedTemporaryFile() as patterns:
            patterns.write(b"\n".join(self._whose) + b"\n")
            patterns.flush()
            skip = [f"--exclude-dir={path.name}" for path in but]
            done = subprocess.run(
                ["grep", "-rlaFZs", "-D", "skip", *skip, "-f", patterns.name, "--", *there],
                stdout=subprocess.PIPE,
                env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
                timeout=600,
                check=False,
            )
        # 2: a file went away, or could not be read; what was found is found all the same.
        assert done.returncode in (0, 1, 2), done
        mine = Path(patterns.name)
        found = {Path(name.decode(errors="surrogateescape")) for name in done.stdout.split(b"\0")}
        held = {path: self.of_file(path) for path in found - {Path(), mine}}
        for top in tops:
            for archive in top.rglob("*.tar.gz") if top.is_dir() else ():
                if names := self.in_archive(archive.read_bytes()):
                    held[archive] = names
        return {path: names for path, names in held.items() if names}

    def of_file(self, path: Path) -> set[str]:
        try:
            return self.within(path.read_bytes())
        except OSError:
            return {"a file that could not be read again"}

    def in_archive(self, packed: bytes) -> set[str]:
        """The canaries in the members of a compressed archive."""
        names: set[str] = set()
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                if file := archive.extractfile(member):
                    names |= self.within(file.read())
        return names


def strange(
    found: Mapping[str, tuple[set[str], int]], allowed: Mapping[str, set[str]]
) -> list[str]:
    """What is wrong with files by their paths, each with its canaries and its mode.

    `allowed` has the canaries that may be in a file; its paths are regular expressions.
    """
    told = []
    for path, (names, mode) in sorted(found.items()):
        may: set[str] = set()
        for pattern, canaries in allowed.items():
            if re.fullmatch(pattern, path):
                may |= canaries
        if extra := names - may:
            told.append(f"{path} holds {', '.join(sorted(extra))}")
        if mode & 0o077:
            told.append(f"{path} has mode {mode:04o}")
    return told
