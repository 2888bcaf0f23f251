"""The datastore's address and TLS files, read by the rules of kine and its driver."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .errors import Fatal
from .options import Options

_DRIVER_FAILED = "failed to create driver for configured endpoint: "
_FILES = {
    "sslrootcert": "datastore-cafile",
    "sslcert": "datastore-certfile",
    "sslkey": "datastore-keyfile",
}
_COPIES = Path("/run/k3s-standin")
"""One server runs on a host, so its copies need no name of their own."""

_UNDERSTOOD = frozenset(
    [
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "connect_timeout", "host"),
        *("port", "application_name", "target_session_attrs", "channel_binding", "options"),
    ]
)
"""Parameters that libpq shares with pgx; others (statement caches) make no difference here."""


@dataclass(frozen=True)
class Address:
    """Connection parameters as libpq names them; the TLS files are private copies."""

    parameters: Mapping[str, str]
    is_mysql: bool = False

    @property
    def database(self) -> str:
        """Name of the database."""
        return self.parameters["dbname"]


def read(options: Options) -> Address:
    """The datastore that the options name.

    The TLS files are copied once, as kine's driver reads them once: renewing them on disk changes
    nothing until the next start.

    Raises:
        Fatal: no such driver, an address that cannot be read, TLS files that do not fit.
    """
    endpoint = options.text("datastore-endpoint")
    is_mysql = endpoint.startswith("mysql://")
    try:
        parameters = parse_mysql(endpoint) if is_mysql else parse(endpoint)
    except ValueError as error:
        raise Fatal(f"{_DRIVER_FAILED}{error}") from error
    for parameter, flag in _FILES.items():
        if flag in options:
            parameters.setdefault(parameter, options.text(flag))
    with_tls = any(parameter in parameters for parameter in _FILES)
    if not is_mysql:
        # Without TLS files and without a word about it, the driver falls back to clear text.
        parameters.setdefault("sslmode", "verify-full" if with_tls else "prefer")
        parameters.setdefault("connect_timeout", "5")
    if ("sslcert" in parameters) != ("sslkey" in parameters):
        raise Fatal(_DRIVER_FAILED + 'both "sslcert" and "sslkey" are required')
    _copy_files(parameters)
    return Address(parameters, is_mysql)


def parse(endpoint: str) -> dict[str, str]:
    """Connection parameters of a ``postgres://`` address.

    The path is lower-cased and the user is not, which is why a role must be lower case.

    Raises:
        Fatal: another scheme, or wrong percent-encoding.
    """
    scheme, separator, _ = endpoint.partition("://")
    if not separator or scheme not in ("postgres", "postgresql"):
        raise Fatal(
            f"standin: the datastore must be PostgreSQL or MySQL, not {scheme or 'embedded'!r}"
        )
    try:
        if re.search(r"%(?![0-9A-Fa-f]{2})", endpoint):
            raise ValueError("invalid URL escape")
        parts = urlsplit(endpoint)
        hosts = parts.netloc.rpartition("@")[2]
        pairs = [
            host.rpartition(":") if ":" in host else (host, "", "") for host in hosts.split(",")
        ]
        if any(port and not port.isdigit() for _, _, port in pairs):
            raise ValueError("invalid port")
    except ValueError as error:
        raise Fatal(
            _DRIVER_FAILED + "failed to parse datastore DSN URL; ensure that parameters containing "
            f"special characters use percent-encoding: {error}"
        ) from error
    login, _, _ = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    parameters = {
        "host": ",".join(host for host, _, _ in pairs) or "localhost",
        "port": ",".join(port or "5432" for _, _, port in pairs),
        "user": unquote(user) or "postgres",
        "password": unquote(password) or "postgres",
        "dbname": unquote(parts.path).strip("/").lower() or "kubernetes",
    }
    for name, value in reversed(parse_qsl(parts.query)):
        if name in _UNDERSTOOD:
            parameters[name] = value
    return parameters


def parse_mysql(endpoint: str) -> dict[str, str]:
    """Parameters of ``mysql://USER:PASSWORD@tcp(HOST:PORT)/DATABASE``, of which nothing is decoded.

    Raises:
        ValueError: it is not of that form.
    """
    whole, separator, database = endpoint.removeprefix("mysql://").rpartition("/")
    login, _, where = whole.rpartition("@")
    user, _, password = login.partition(":")
    host, _, port = where.removeprefix("tcp(").removesuffix(")").rpartition(":")
    if not separator or not where.startswith("tcp(") or not port.isdigit():
        raise ValueError("invalid DSN: network address not terminated (missing closing brace)")
    return {"user": user, "password": password, "host": host, "port": port, "dbname": database}


def _copy_files(parameters: dict[str, str]) -> None:
    shutil.rmtree(_COPIES, ignore_errors=True)
    _COPIES.mkdir(mode=0o700)
    contents = {}
    for parameter in _FILES:
        if parameter not in parameters:
            continue
        try:
            contents[parameter] = Path(parameters[parameter]).read_bytes()
        except OSError as error:
            what = {"sslrootcert": "CA", "sslcert": "cert", "sslkey": "key"}[parameter]
            said = f"open {error.filename}: {error.strerror}"
            raise Fatal(f"{_DRIVER_FAILED}unable to read {what} file: {said}") from error
        copy = _COPIES / parameter
        copy.touch(0o600)
        copy.write_bytes(contents[parameter])
        parameters[parameter] = str(copy)
    if "sslcert" in contents:
        try:
            certificate = x509.load_pem_x509_certificate(contents["sslcert"])
            key = serialization.load_pem_private_key(contents["sslkey"], None)
        except (ValueError, TypeError) as error:
            raise Fatal(f"{_DRIVER_FAILED}unable to load cert: {error}") from error
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        ours = key.public_key().public_bytes(*form)
        if certificate.public_key().public_bytes(*form) != ours:
            raise Fatal(f"{_DRIVER_FAILED}tls: private key does not match public key")
