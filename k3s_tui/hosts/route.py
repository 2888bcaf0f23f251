"""The way to one host, once ~/.ssh/config has had its say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from k3s_tui.core.address import endpoint
from k3s_tui.hosts.target import Target


@dataclass(frozen=True, slots=True)
class Route:
    """A target as ~/.ssh/config completes it.

    `alias` is its HostKeyAlias or ''.  `jump` is the profile's jump host, else that of the
    config.  `proxied` tells that a ProxyCommand makes the connection.  `files` are known_hosts
    files, `identities` key files, `agent` the path of an agent's socket or ''.
    """

    target: Target
    address: str
    port: int
    user: str
    alias: str
    jump: Target | None
    proxied: bool
    files: tuple[Path, ...]
    identities: tuple[str, ...]
    identities_only: bool
    agent: str

    @property
    def place(self) -> str:
        return endpoint(self.address, self.port)

    @property
    def limit(self) -> str:
        """Whose MaxStartups counts: hosts behind one jump host share its limit."""
        if self.jump is None:
            return self.place
        return f"via {endpoint(self.jump.address, self.jump.port or '')}"
