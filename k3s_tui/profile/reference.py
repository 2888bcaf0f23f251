"""Where a secret is kept.  The profile holds references like `store:k3s.token`, never values."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias, final, get_args

Scheme: TypeAlias = Literal["store", "file", "env", "keyring", "prompt"]

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

FORMS = 'a reference: "store:KEY", "file:PATH", "env:NAME", "keyring:SERVICE/USER" or "prompt:"'

_SHAPES: dict[Scheme, str] = {
    "store": r"[a-z0-9][a-z0-9._-]*",
    "file": r"[^\x00-\x1f\x7f]+",
    "env": r"[A-Za-z_][A-Za-z0-9_]*",
    "keyring": r"[^/\x00-\x1f\x7f]+/[^\x00-\x1f\x7f]+",
    "prompt": r"",
}

PATTERN = "^(" + "|".join(f"{scheme}:{shape}" for scheme, shape in _SHAPES.items()) + ")$"
"""Every reference as one regular expression, for the JSON schema."""


class NotAReference(ValueError):
    """Says what is wrong with a text without repeating it: it may be the secret itself."""

    def __init__(self, text: str, *, literal: bool) -> None:
        super().__init__(text)
        self.literal = literal


@final
class SecretRef:
    """`scheme:rest`.  What `rest` is depends on the scheme: a key, a path, a name, or nothing.

    Not a dataclass: msgspec would read and write one as a table, and this is text.
    """

    __slots__ = ("rest", "scheme")

    def __init__(self, scheme: Scheme, rest: str) -> None:
        self.scheme: Final = scheme
        self.rest: Final = rest

    @classmethod
    def parse(cls, text: str) -> SecretRef:
        """Raises NotAReference."""
        if not text:
            raise NotAReference("empty", literal=False)
        head, colon, rest = text.partition(":")
        for scheme, shape in _SHAPES.items():
            if colon and head == scheme:
                if re.fullmatch(shape, rest) is None:
                    raise NotAReference(f"not a valid {scheme}: reference", literal=False)
                return cls(scheme, rest)
        raise NotAReference("a literal secret where a reference belongs", literal=True)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"

    def __repr__(self) -> str:
        return f"SecretRef({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretRef):
            return NotImplemented
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))
