"""What a failed login means and what to try, told by PostgreSQL's and OpenSSL's own words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from k3s_tui.core.contract import Problem

Kind = Literal[
    "ok",
    "forwarding",  # no port could be forwarded
    "unresolved",  # the datastore's name
    "refused",  # TCP
    "timeout",
    "closed",  # without a word
    "no-tls",  # on the server's side
    "untrusted",  # the datastore's certificate: …-issuer, …-expired, …-early when known
    "untrusted-issuer",
    "untrusted-expired",
    "untrusted-early",
    "hostname",  # not among the names in the datastore's certificate
    "no-certificate",  # of the client
    "client-ca",
    "client-expired",
    "client-certificate",
    "client-cn",
    "password",  # or CN: PostgreSQL tells the client the same words for both
    "rules",
    "rules-plain",
    "role",
    "database",
    "privileges",
    "busy",
    "other",
]

# First match wins.  OpenSSL 3.2 renamed "sslv3 alert …" and "tlsv1 alert …" in part.
_WORDS: tuple[tuple[str, Kind], ...] = (
    (r"password authentication failed", "password"),
    (r"(pg_hba\.conf rejects connection|no pg_hba\.conf entry).*no encryption", "rules-plain"),
    (r"pg_hba\.conf rejects connection|no pg_hba\.conf entry", "rules"),
    (r"requires a valid client certificate", "no-certificate"),
    (r"alert (unknown ca|decrypt error)", "client-ca"),
    (r"alert certificate expired", "client-expired"),
    (r"alert (bad|unsupported|revoked|unknown)? ?certificate", "client-certificate"),
    (r"server certificate for .* does not match host name", "hostname"),
    (r"certificate verify failed", "untrusted"),
    (r"server does not support SSL", "no-tls"),
    (r'database ".*" does not exist', "database"),
    (r'role ".*" (does not exist|is not permitted to log in)', "role"),
    (r"permission denied", "privileges"),
    (r"too many (clients|connections)|remaining connection slots|is starting up", "busy"),
    (r"timeout expired|timed out", "timeout"),
    (r"Connection refused", "refused"),
    (r"closed the connection unexpectedly|Connection reset|EOF detected|Broken pipe", "closed"),
)
_STATES: dict[str, Kind] = {
    "28P01": "password",
    "3D000": "database",
    "42501": "privileges",
    "53300": "busy",
    "57P03": "busy",
}


def kind_of(said: str, sqlstate: str | None) -> Kind:
    """What a driver's error means: by SQLSTATE where the driver knows it, else by the words."""
    if sqlstate in _STATES:
        return _STATES[sqlstate]
    text = " ".join(said.split())
    return next((kind for words, kind in _WORDS if re.search(words, text)), "other")


# "certificate" in the languages that PostgreSQL speaks.
_CERTIFICATE = re.compile(r"ert[iy]fi[kc]a|сертиф|証明|证书|认证|인증서|სერტიფიკ", re.IGNORECASE)
_ENGLISH = re.compile(r"\b(is|are|for|not|the|to)\b")


def kind_of_foreign_words(said: str, user: str, *, tls: bool, certificate: bool) -> Kind:
    """What a refusal means that is told in another language than English.

    PostgreSQL chooses its language before it knows who is there, so a role's own comes too late.
    What no translation changes are the file's name and the user's.  `certificate`: whether the
    client showed one.
    """
    if said.isascii() and _ENGLISH.search(said):
        return "other"
    if "pg_hba.conf" in said:
        return "rules" if tls else "rules-plain"
    if re.search(rf"(?<![\w-]){re.escape(user)}(?![\w-])", said, re.ASCII):
        return "password"
    return "no-certificate" if not certificate and _CERTIFICATE.search(said) else "other"


def kind_of_way(said: bytes) -> Kind | None:
    """What the server's own try to connect means; None when it tells nothing new."""
    text = said.decode("utf-8", "replace")
    if "unresolved" in text:
        return "unresolved"
    if "CONNECTED" in text:
        return None
    return "refused" if "refused" in text else "timeout"


# openssl-verification-options(1); s_client says "verify error:num=N:…".
_VERIFY: dict[int, Kind] = {
    2: "untrusted-issuer",
    9: "untrusted-early",
    10: "untrusted-expired",
    18: "untrusted-issuer",
    19: "untrusted-issuer",
    20: "untrusted-issuer",
    21: "untrusted-issuer",
    62: "hostname",
    64: "hostname",
}


def kind_of_session(said: bytes) -> Kind | None:
    """What `openssl s_client` on the server means; None when it tells nothing new."""
    text = said.decode("utf-8", "replace")
    if found := re.search(r"verify error:num=(\d+)", text):
        return _VERIFY.get(int(found[1]), "untrusted")
    kind = kind_of(text, None)
    if kind not in ("other", "closed"):
        return kind
    return None if "CONNECTION ESTABLISHED" in text else kind_of_way(said)


def kind_of_served(certificate: bytes, ca_pem: str) -> Kind | None:
    """Why the certificate (DER) that the datastore shows is not trusted; None when unknown."""
    if not certificate:
        return None
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    now = datetime.now(UTC)
    served = x509.load_der_x509_certificate(certificate)
    if served.not_valid_after_utc < now:
        return "untrusted-expired"
    if served.not_valid_before_utc > now:
        return "untrusted-early"
    for issuer in x509.load_pem_x509_certificates(ca_pem.encode()):
        try:
            served.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return None
    return "untrusted-issuer"


def explain(
    kind: Kind, said: str, *, where: str, hostname: str, port: int, user: str, database: str
) -> Problem:
    """A failed login in the operator's words; `where` is the datastore as they know it."""
    reissue = "run again without --only: the certificates are issued anew when they do not fit"
    texts: dict[Kind, tuple[str, str]] = {
        "unresolved": (
            f"the name {hostname} does not resolve on this host",
            'set datastore.hosts-entry = "auto" in the profile, or add the name to your DNS',
        ),
        "refused": (
            f"{where} refuses connections",
            "on the datastore: is PostgreSQL up, and does listen_addresses name that address?"
            f" ss -ltn sport = :{port}",
        ),
        "timeout": (
            f"{where} does not answer",
            f"open port {port}/tcp from this host in the firewalls between here and the datastore",
        ),
        "closed": (
            f"{where} closed the connection without a word",
            "is something other than PostgreSQL listening there, or a proxy in between?",
        ),
        "no-tls": (f"PostgreSQL at {where} has TLS off", "show ssl; must say on"),
        "untrusted": (f"the certificate of {where} is not trusted", reissue),
        "untrusted-issuer": (f"the certificate of {where} comes from another CA", reissue),
        "untrusted-expired": (f"the certificate of {where} has expired", reissue),
        "untrusted-early": (
            f"the certificate of {where} is not valid yet",
            "compare the clocks: date -u on the datastore and here",
        ),
        "hostname": (
            f"the certificate of {where} is not for the name {hostname}",
            reissue,
        ),
        "no-certificate": (
            f"PostgreSQL at {where} got no client certificate that it could use",
            "show ssl_ca_file; must name the CA that signs the servers' certificates",
        ),
        "client-ca": (
            f"PostgreSQL at {where} does not trust the CA of the client certificate",
            "show ssl_ca_file; must name the CA that signs the servers' certificates",
        ),
        "client-expired": ("the client certificate has expired", "compare the clocks: date -u"),
        "client-certificate": (
            f"PostgreSQL at {where} does not accept the client certificate",
            "compare the clocks (date -u); the reason is in PostgreSQL's log",
        ),
        "client-cn": (
            f"the client certificate's CN is not the database user {user}",
            "issue it for that name: CN and role must be the same to the letter",
        ),
        "password": (
            f"PostgreSQL does not accept the password of {user}",
            "does the store hold the same one as the server? PostgreSQL's log tells more:"
            " it says 'CN mismatch' when it was the certificate",
        ),
        "rules": (
            f"pg_hba.conf does not let {user} in from this host",
            "compare the source address in the message with the hostssl lines of our block",
        ),
        "rules-plain": (
            f"pg_hba.conf does not let {user} in without TLS",
            "the connection must use TLS",
        ),
        "role": (f"the role {user} is not there, or may not log in", f"as postgres: \\du {user}"),
        "database": (f"there is no database {database}", "as postgres: \\l"),
        "privileges": (
            f"{user} may not create tables in database {database}",
            f'as postgres: psql -c "alter database {database} owner to {user}"',
        ),
        "busy": (
            "PostgreSQL takes no more connections now",
            "show max_connections; select count(*) from pg_stat_activity",
        ),
    }
    text, hint = texts.get(kind, ("the login to the datastore failed", "see PostgreSQL's log"))
    return Problem(f"{text}: {said}" if said else text, hint)
