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


def get(kubeconfig: str, path: str) -> str:
    """The body of the answer."""
    fields = dict(re.findall(r"([\w-]+): (\S+)\s*$", Path(kubeconfig).read_text(), re.MULTILINE))
    context = ssl.create_default_context(cadata=_pem(fields["certificate-authority-data"]))
    with tempfile.NamedTemporaryFile("w") as pair:
        pair.write(_pem(fields["client-certificate-data"]) + _pem(fields["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    server = urlsplit(fields["server"])
    assert server.hostname
    client = http.client.HTTPSConnection(server.hostname, server.port, timeout=5, context=context)
    client.request("GET", path)
    return client.getresponse().read().decode()


def _pem(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


if __name__ == "__main__":
    print(get(sys.argv[1], sys.argv[2]))
