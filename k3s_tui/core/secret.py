"""A secret has a type, and text that leaves the program is redacted."""

from __future__ import annotations

import base64
import hmac
import json
import re
import shlex
import urllib.parse
from collections.abc import Iterable
from typing import NoReturn, final

MASK = "•••"
SHORTEST = 6
"""Characters; a shorter value is not redacted from text: it would blank out ordinary words."""


@final
class Secret:
    """A value that shows itself only to `reveal()`, which is called once per use.

    It has no useful `repr`, `str` or format, and cannot be pickled or copied into a serializer.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be serialized")


class Redactor:
    """Replaces every known secret, in each form it could travel in, by a mask.

    Lines that come from hosts and texts of errors pass through it before they become events.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[Secret]) -> None:
        for secret in secrets:
            value = secret.reveal()
            # A multi-line value (a PEM key) is seen line by line.
            for part in {value, *value.splitlines()}:
                if len(part) >= SHORTEST:
                    self._forms.update(_forms(part))
        # Longest first, so that a form that contains another one is masked as a whole.
        ordered = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


def _forms(value: str) -> set[str]:
    """The value raw, quoted for sh, SQL, a URL and JSON, in hex, in base64 at each alignment."""
    raw = value.encode()
    forms = {
        value,
        shlex.quote(value).strip("'"),
        value.replace("'", "'\\''"),
        value.replace("'", "''"),
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote(value),
        urllib.parse.quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        raw.hex(),
        raw.hex().upper(),
    }
    for lead in range(3):
        # Leave out the characters that depend on neighbouring bytes.
        encoded = base64.b64encode(b"\0" * lead + raw).decode().rstrip("=")
        start = (lead * 8 + 5) // 6
        end = len(encoded) - (1 if (lead + len(raw)) % 3 else 0)
        forms.add(encoded[start:end])
    return {form for form in forms if len(form) >= SHORTEST}
