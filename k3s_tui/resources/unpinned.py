"""A name that a DNS knows is not written into /etc/hosts, and leaves it when the DNS takes over."""

from __future__ import annotations

from dataclasses import dataclass

from k3s_tui.core.address import canonical
from k3s_tui.core.contract import Probe, Problem
from k3s_tui.hosts.sanitize import sanitize
from k3s_tui.hosts.script import quote

_PARTING = "--"


@dataclass(frozen=True)
class Known:
    """`by_dns` is the address that a DNS has for the name, '' for none; `ours` are the addresses
    that our own block in /etc/hosts has for it."""

    by_dns: str
    ours: frozenset[str]


@dataclass(frozen=True)
class _ByDns:
    """Asks both.  systemd-resolved answers from /etc/hosts, too (ReadEtcHosts), so on a second run
    our own entry comes back as if a DNS had said it.
    """

    hostname: str

    def probe(self) -> Probe[Known]:
        # musl's getent has no -s; there the question stays open.
        ask = f"timeout 10 getent -s hosts:dns ahosts {quote(self.hostname)} 2>/dev/null"
        block = "sed -n '/^# BEGIN k3s-tui$/,/^# END k3s-tui$/p' /etc/hosts 2>/dev/null"
        return Probe(f"{ask} | head -n 1\necho {_PARTING}\n{block}\n:", self._parse)

    def _parse(self, out: bytes) -> Known:
        told, _, block = out.decode(errors="replace").partition(f"{_PARTING}\n")
        lines = (line.split() for line in block.splitlines())
        ours = {canonical(words[0]) for words in lines if self.hostname in words[1:]}
        return Known(sanitize(told.partition(" ")[0].strip()), frozenset(ours))


@dataclass(frozen=True)
class NotInDns(_ByDns):
    """A preflight check before an entry of `address` for `hostname`: after a failover the DNS says
    another address, and the entry would hold on to the old one.
    """

    address: str

    def diff(self, now: Known) -> Problem | None:
        own = canonical(self.address)
        if not now.by_dns or (canonical(now.by_dns) == own and own in now.ours):
            return None
        return Problem(
            f"the DNS knows {self.hostname} ({now.by_dns}): an entry in /etc/hosts would pin it"
            " over a failover",
            'leave datastore.address out of the profile, or set hosts-entry = "never"',
        )


@dataclass(frozen=True)
class InDns(_ByDns):
    """A preflight check before our entry for `hostname` is taken out of /etc/hosts."""

    def diff(self, now: Known) -> Problem | None:
        if now.by_dns or not now.ours:
            return None
        return Problem(
            f"no DNS knows {self.hostname}: without its entry in /etc/hosts K3s would not find it",
            f"let the DNS say {', '.join(sorted(now.ours))} for {self.hostname}, or let the profile"
            " have the entry as before",
        )
