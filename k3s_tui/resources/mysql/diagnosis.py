"""What a failed login to MySQL or MariaDB means, told by its error numbers and OpenSSL's words."""

from __future__ import annotations

import re

from k3s_tui.resources.postgres.diagnosis import Kind

# https://mariadb.com/kb/en/mariadb-error-code-reference/; MySQL's are the same below 1900.
_NUMBERS: dict[int, Kind] = {
    1040: "busy",
    1044: "privileges",
    1045: "password",  # or user, host, TLS, certificate: the client is told the same for all
    1049: "database",
    1129: "rules",
    1130: "rules",
    1142: "privileges",
    1203: "busy",
    1226: "busy",
    1698: "password",
    2026: "no-tls",
    3159: "rules-plain",  # MySQL's require_secure_transport
    4163: "rules-plain",  # MariaDB's
}
# First match wins; they come before the numbers, which are the driver's own here.
_WORDS: tuple[tuple[str, Kind], ...] = (
    (r"alert (unknown ca|decrypt error)", "client-ca"),
    (r"alert certificate expired", "client-expired"),
    (r"alert (bad|unsupported|revoked|unknown|certificate)", "client-certificate"),
    (r"certificate is not valid for|[Hh]ostname mismatch|IP address mismatch", "hostname"),
    (r"certificate has expired", "untrusted-expired"),
    (r"certificate is not yet valid", "untrusted-early"),
    (r"self-signed certificate|unable to get (local )?issuer certificate", "untrusted-issuer"),
    (r"certificate verify failed", "untrusted"),
    (r"--require_secure_transport|insecure transport", "rules-plain"),
    (r"timed out|timeout", "timeout"),
    (r"Connection refused", "refused"),
    (r"Lost connection|Connection reset|EOF occurred|Broken pipe", "closed"),
)


def kind_of(number: int, said: str) -> Kind:
    """What a driver's error means; `number` is 0 where the driver has none."""
    text = " ".join(said.split())
    known = next((kind for words, kind in _WORDS if re.search(words, text)), None)
    return known or _NUMBERS.get(number, "other")
