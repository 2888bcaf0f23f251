"""HTTPS requests to a server, by token or by client certificate."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """Status and body of a response."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Client:
    """How to speak to servers: whom to trust, and as whom.

    Without ``ca_file`` nobody's certificate is checked, which only the first look at ``/cacerts``
    may do.
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    basic: tuple[str, str] | None = None
    timeout: float = 5.0

    def request(
        self,
        url: str,
        *,
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own.

        Raises:
            OSError, http.client.HTTPException: no answer.
        """
        if self.ca_file is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = ssl.create_default_context(cafile=str(self.ca_file))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, context=context, timeout=self.timeout
        )
        all_headers = dict(headers or {})
        if self.basic is not None:
            login = base64.b64encode(":".join(self.basic).encode()).decode()
            all_headers["Authorization"] = f"Basic {login}"
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, target, body=body or None, headers=all_headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()
