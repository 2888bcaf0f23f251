"""A whole datastore as a run leaves it, and hands of a K3s server that can reach it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.secret import Secret
from k3s_tui.hosts.forwarding import ForwardingFailed, relay
from k3s_tui.pki.authority import Authority
from k3s_tui.resources.postgres.access import Access
from k3s_tui.resources.postgres.database import Database
from k3s_tui.resources.postgres.login import Login
from k3s_tui.resources.postgres.role import Role
from k3s_tui.resources.postgres.settings import Settings
from tests.unit.hands import LocalHands
from tests.unit.postgres import certificates
from tests.unit.postgres.server import Server

PASSWORD = Secret("q7Yk-p_w3Lr9")
SERVERS = ("127.0.0.11", "127.0.0.12")


@dataclass(frozen=True)
class Datastore:
    server: Server
    ca: Authority
    access: Access

    @property
    def login(self) -> Login:
        """K3s's own, with everything right."""
        return Login(
            hostname=certificates.HOSTNAME,
            port=self.server.port,
            database="k3s",
            user="k3s",
            password=PASSWORD,
            ca_pem=self.ca.certificate_pem,
            issue=lambda: certificates.client_pair(self.ca),
        )


async def converge(hands: LocalHands, server: Server) -> Datastore:
    """The steps of a run, on a fresh cluster."""
    ca = certificates.authority()
    tls = certificates.install(server.folder, ca, certificates.server_pair(ca))
    loaded = server.folder / "loaded"
    settings = Settings(
        psql=server.psql,
        config_file=str(server.config_file),
        data_directory=str(server.data),
        tls=tls,
        addresses=("127.0.0.1",),
        restart=server.restart,
        stamp=str(loaded / "postgres"),
    )
    access = Access(
        server.psql, str(server.hba_file), "k3s", "k3s", SERVERS, str(loaded / "access")
    )
    role, database = Role(server.psql, "k3s", PASSWORD), Database(server.psql, "k3s", "k3s")
    for resource in (settings, role, database, access):
        await hands.settle(resource)
    return Datastore(server, ca, access)


class ServerHands(LocalHands):
    """A K3s server with an address of its own, which knows the datastore's name."""

    def __init__(self, tools: Path, address: str = SERVERS[0]) -> None:
        super().__init__("dash", tools)
        self.address = address
        self.names = {certificates.HOSTNAME: "127.0.0.1", "localhost": "127.0.0.1"}

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> AsyncIterator[int]:
        async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            if address not in self.names:
                raise ForwardingFailed("Name or service not known")
            try:
                return await asyncio.open_connection(
                    self.names[address], port, local_addr=(self.address, 0)
                )
            except OSError as error:
                raise ForwardingFailed("Connection refused") from error

        async with relay(dial) as local:
            yield local
