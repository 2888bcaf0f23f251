"""A name server of a few names: those of the release downloads, each at the bridge's address, and
what a test adds.

Every other name does not exist. In particular the hosts' own names are not here: a product that
needs one must see to it itself.
"""

from __future__ import annotations

import ipaddress
import socketserver
import struct
from collections.abc import Mapping
from pathlib import Path

_A, _AAAA = 1, 28
_NO_SUCH_NAME = 3


def answer(query: bytes, names: Mapping[str, str]) -> bytes:
    """The reply to one DNS query (RFC 1035), from ``names``: lower-case name to IPv4 address.

    Raises:
        ValueError, IndexError, struct.error: the query is malformed.
    """
    number, flags, questions = struct.unpack_from("!HHH", query)
    if questions != 1 or flags & 0x8000:
        raise ValueError("not a query with one question")
    labels, at = [], 12
    while length := query[at]:
        if length > 63:
            raise ValueError("a compressed name in a question")
        labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    kind, _class = struct.unpack_from("!HH", query, at + 1)
    question = query[12 : at + 5]
    address = names.get(".".join(labels).lower())
    found = address is not None and kind == _A
    status = 0 if address is not None else _NO_SUCH_NAME
    # Response, authoritative, recursion desired as asked and "available": some resolvers skip a
    # server that says it is not.
    header = struct.pack("!HHHHHH", number, 0x8480 | (flags & 0x0100) | status, 1, int(found), 0, 0)
    if not found or address is None:
        return header + question
    packed = ipaddress.IPv4Address(address).packed
    return header + question + struct.pack("!HHHIH", 0xC00C, _A, 1, 5, 4) + packed


class NameServer(socketserver.ThreadingUDPServer):
    """Answers on ``address``, port 53."""

    daemon_threads = True

    def __init__(self, address: str, names: Mapping[str, str], more: Path) -> None:
        self._names = dict(names)
        self._more = more
        super().__init__((address, 53), _Handler)

    @property
    def names(self) -> Mapping[str, str]:
        """Those that it was made with, and those that stand in the file now."""
        lines = self._more.read_text().splitlines() if self._more.exists() else ()
        return self._names | {name: address for address, name in map(str.split, lines)}


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, socket = self.request
        assert isinstance(self.server, NameServer)
        try:
            reply = answer(query, self.server.names)
        except (ValueError, IndexError, struct.error):
            return  # not worth an answer
        socket.sendto(reply, self.client_address)
