"""A name that a DNS knows is not written into /etc/hosts."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote


@dataclass(frozen=True)
class NotInDns:
    """A preflight check before an entry for `hostname`: after a failover the DNS says another
    address, and the entry would hold on to the old one.
    """

    hostname: str

    def probe(self) -> Probe[str]:
        # musl's getent has no -s; there the question stays open.
        ask = f"timeout 10 getent -s hosts:dns ahosts {quote(self.hostname)} 2>/dev/null"
        return Probe(
            f"{ask} | head -n 1\n:",
            lambda out: sanitize(out.decode(errors="replace").partition(" ")[0].strip()),
        )

    def diff(self, now: str) -> Problem | None:
        if not now:
            return None
        return Problem(
            f"the DNS knows {self.hostname} ({now}): an entry in /etc/hosts would pin it over a"
            " failover",
            'leave datastore.address out of the profile, or set hosts-entry = "never"',
        )
