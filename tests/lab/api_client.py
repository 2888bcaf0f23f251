"""``python api_client.py KUBECONFIG PATH``: one authenticated request, as kubectl makes it.

Runs in a process of its own, inside the lab's network; needs nothing but a standard Python.
"""

from __future__ import annotations

import base64
import http.client
import re
import ssl
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit


class Api:
    """The API that a kubeconfig leads to; every request has a connection of its own."""

    def __init__(self, kubeconfig: str) -> None:
        text = Path(kubeconfig).read_text()
        fields = dict(re.findall(r"([\w-]+): (\S+)\s*$", text, re.MULTILINE))
        self._context = ssl.create_default_context(
            cadata=_pem(fields["certificate-authority-data"])
        )
        with tempfile.NamedTemporaryFile("w") as pair:
            pair.write(_pem(fields["client-certificate-data"]) + _pem(fields["client-key-data"]))
            pair.flush()
            self._context.load_cert_chain(pair.name)
        self._server = urlsplit(fields["server"])

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """Status and body of the answer, which must come within five seconds.

        Raises:
            OSError, http.client.HTTPException: no answer.
        """
        assert self._server.hostname
        client = http.client.HTTPSConnection(
            self._server.hostname, self._server.port, timeout=5, context=self._context
        )
        try:
            kind = {"Content-Type": "application/json"} if body else {}
            client.request(method, path, body, kind)
            answer = client.getresponse()
            return answer.status, answer.read().decode()
        finally:
            client.close()


def _pem(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


if __name__ == "__main__":
    print(Api(sys.argv[1]).ask("GET", sys.argv[2])[1])
